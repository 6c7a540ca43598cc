//! Parses a body: one JSON object, whose `action` selects the variant of an API's enum, and whose
//! other fields are the variant's. Unknown fields are ignored; an error names the field.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor},
    forward_to_deserialize_any,
};
use serde_json::value::RawValue;
use serde_path_to_error::Track;
use thiserror::Error;

use super::field::given;
use crate::{time::Timestamp, version::ClientVersion};

/// Maximum characters of a nonce.
// Enough for 256 bits in hex. The server stores each one for as long as its timestamp is valid.
pub const MAX_NONCE: usize = 64;
/// Maximum length of an error's sentence.
// A sentence may quote a field's name, which may be as long as the body.
const MAX_SENTENCE: usize = 300;

/// The fields that every request may have.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    /// The name of the action.
    // Borrowed unless it has escapes, which is rare: every request is parsed for its head.
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    #[serde(default)]
    clientversioncode: Option<i64>,
    /// The client's clock.
    #[serde(default, deserialize_with = "given")]
    pub timestamp: Option<Timestamp>,
    /// A new value for every request of a v4 client, so that nobody can replay it.
    #[serde(default, deserialize_with = "given")]
    pub nonce: Option<String>,
}

impl<'a> Head<'a> {
    /// Parses the fields that all requests share.
    ///
    /// # Errors
    /// `Malformed`: not JSON, not an object, or a malformed common field.
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        // serde would also parse a struct from an array.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(ParseError::Malformed(
                "The body must be one JSON object.".into(),
            ));
        }
        let head = serde_json::from_slice(body).or_else(|_| Self::explain(body))?;
        if head
            .nonce
            .as_ref()
            .is_some_and(|nonce| nonce.chars().count() > MAX_NONCE)
        {
            return Err(ParseError::Malformed(format!(
                "nonce must have at most {MAX_NONCE} characters."
            )));
        }
        Ok(head)
    }

    /// Parses it again for the path of the mistake.
    // Only then, because tracking the path costs more than everything else here.
    fn explain(body: &'a [u8]) -> Result<Self, ParseError> {
        let mut track = Track::new();
        let mut json = serde_json::Deserializer::from_slice(body);
        Self::deserialize(serde_path_to_error::Deserializer::new(
            &mut json, &mut track,
        ))
        .and_then(|head| json.end().map(|()| head))
        .map_err(|error| ParseError::Malformed(sentence(&track.path().to_string(), &error)))
    }

    /// The version that the client claims.
    #[must_use]
    pub fn version(&self) -> ClientVersion {
        ClientVersion::of_code(self.clientversioncode)
    }
}

/// The reasons why a body is not a request.
#[derive(Debug, Error)]
pub enum ParseError {
    /// For a client of this version, there is no such API.
    #[error("There is no such API.")]
    UnknownApi,
    /// The API has no such action.
    #[error("There is no such action.")]
    UnknownAction,
    /// Not JSON, not an object, or a field is missing or malformed: one sentence for a person.
    #[error("{0}")]
    Malformed(String),
}

/// Parses a body as the variant `name` of `A`.
///
/// # Errors
/// `UnknownAction`, or `Malformed` with the field and its required form.
pub fn action<'de, A: Deserialize<'de>>(name: &str, body: &'de [u8]) -> Result<A, ParseError> {
    if let Ok(action) = A::deserialize(Named {
        name,
        body,
        track: None,
    }) {
        return Ok(action);
    }
    // Parsed again only for the path of the mistake, as tracking it costs more than parsing.
    let mut track = Track::new();
    A::deserialize(Named {
        name,
        body,
        track: Some(&mut track),
    })
    .map_err(|refused| match refused {
        Refused::Variant => ParseError::UnknownAction,
        Refused::Fields(error) => {
            ParseError::Malformed(sentence(&track.path().to_string(), &error))
        }
    })
}

/// A body without some of its fields, so that they count as unknown.
pub(super) fn without(body: &[u8], fields: &[&str]) -> Result<Vec<u8>, ParseError> {
    let malformed = |error: serde_json::Error| ParseError::Malformed(sentence("", &error));
    let mut all: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(malformed)?;
    all.retain(|name, _| !fields.contains(&name.as_str()));
    serde_json::to_vec(&all).map_err(malformed)
}

/// serde's words for types, and plain ones for people.
const PLAIN_WORDS: [(&str, &str); 7] = [
    ("a string", "text"),
    ("a borrowed string", "text"),
    ("a map", "an object"),
    ("a sequence", "a list"),
    ("i64", "a whole number"),
    ("u32", "a whole number that is not negative"),
    ("a boolean", "true or false"),
];
/// Marks a sentence about a field within another one, as serde's errors only have text.
pub(super) const WITHIN: &str = "within ";

/// Names the field and its required form.
pub(super) fn sentence(path: &str, error: &serde_json::Error) -> String {
    // `serde_path_to_error` writes these for the whole body, and where it knows no path.
    let is_whole = path == "." || path == "?";
    let text = error.to_string();
    // serde adds a position, which is of no use because the body is not a file.
    let text = text.split(" at line ").next().unwrap_or_default();
    let sentence = if error.is_syntax() || error.is_eof() {
        let what = if is_whole { "The body" } else { path };
        format!("{what} is not JSON: {text}.")
    } else if let Some(within) = text.strip_prefix(WITHIN) {
        format!("{path}.{within}")
    } else if let Some(field) = text.strip_prefix("missing field `") {
        let within = if is_whole {
            String::new()
        } else {
            format!("{path}.")
        };
        format!("{within}{} is missing.", field.trim_end_matches('`'))
    } else if let Some((_, expected)) = text.rsplit_once("expected ").filter(|_| !is_whole) {
        let expected = PLAIN_WORDS
            .iter()
            .find(|(serdes, _)| *serdes == expected)
            .map_or(expected, |(_, plain)| plain);
        format!("{path} must be {expected}.")
    } else {
        format!("The body is not valid: {text}.")
    };
    sentence
        .chars()
        // It may quote the sender, who must not be able to forge a line in the log.
        .filter(|c| !c.is_control())
        .take(MAX_SENTENCE)
        .collect()
}

/// Presents a body to serde as the enum variant in its `action`.
// Not `#[serde(tag = "action")]`, which buffers the whole body first and loses the path of a
// mistake.
struct Named<'a, 't, 'de> {
    name: &'a str,
    body: &'de [u8],
    track: Option<&'t mut Track>,
}

/// The reason why serde could not parse a variant.
#[derive(Debug)]
enum Refused {
    Variant,
    Fields(serde_json::Error),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variant => f.write_str("no such action"),
            Self::Fields(error) => error.fmt(f),
        }
    }
}
impl std::error::Error for Refused {}
impl de::Error for Refused {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Fields(de::Error::custom(text))
    }
    // Not a text like the others: an unknown action is answered with a code of its own.
    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        Self::Variant
    }
}

impl<'de> Deserializer<'de> for Named<'_, '_, 'de> {
    type Error = Refused;
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_enum(self)
    }
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
impl<'de> EnumAccess<'de> for Named<'_, '_, 'de> {
    type Error = Refused;
    type Variant = Self;
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refused> {
        let variant =
            seed.deserialize(IntoDeserializer::<Refused>::into_deserializer(self.name))?;
        Ok((variant, self))
    }
}
impl<'de> VariantAccess<'de> for Named<'_, '_, 'de> {
    type Error = Refused;
    fn unit_variant(self) -> Result<(), Refused> {
        // Its other fields are unknown, and ignored as everywhere.
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
        // Its end is not checked, here and below: `Head::parse` has read all of the body before.
        let mut json = serde_json::Deserializer::from_slice(self.body);
        match self.track {
            None => seed.deserialize(&mut json),
            Some(track) => {
                seed.deserialize(serde_path_to_error::Deserializer::new(&mut json, track))
            }
        }
        .map_err(Refused::Fields)
    }
    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        Err(de::Error::invalid_type(
            de::Unexpected::TupleVariant,
            &visitor,
        ))
    }
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut json = serde_json::Deserializer::from_slice(self.body);
        match self.track {
            None => json.deserialize_struct("", fields, visitor),
            Some(track) => serde_path_to_error::Deserializer::new(&mut json, track)
                .deserialize_struct("", fields, visitor),
        }
        .map_err(Refused::Fields)
    }
}
