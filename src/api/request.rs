//! How a body is read: one JSON object, whose `action` names the variant of an API's enum and whose
//! other fields are that variant's. Unknown fields are ignored; an error names the field.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, DeserializeSeed, EnumAccess, IntoDeserializer, VariantAccess, Visitor,
        value::StringDeserializer,
    },
    forward_to_deserialize_any,
};
use serde_path_to_error::Track;

use crate::chat::error::Error;
use parlance_wire::{time::Timestamp, version::ClientVersion};

/// Maximum characters of a nonce.
const MAX_NONCE: usize = 64;
/// Maximum characters of an error's sentence: a field's name may be the sender's, as long as the body.
const MAX_SENTENCE: usize = 300;

/// The fields that every request may carry.
#[derive(Debug, Deserialize)]
pub struct Head<'a> {
    /// What to do.
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    #[serde(default)]
    clientversioncode: Option<i64>,
    /// The client's clock.
    #[serde(default, deserialize_with = "given")]
    pub timestamp: Option<Timestamp>,
    /// New for every request of a v4 client, so that none can be sent again by someone else.
    #[serde(default, deserialize_with = "given")]
    pub nonce: Option<String>,
}

impl<'a> Head<'a> {
    /// Reads what every request has in common.
    ///
    /// # Errors
    /// `BadRequest`: not JSON, not an object, or a common field of the wrong form.
    pub fn parse(body: &'a [u8]) -> Result<Self, Error> {
        // serde would read a struct from an array as well.
        if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Error::BadRequest(
                "The body must be one JSON object.".into(),
            ));
        }
        let head = serde_json::from_slice(body).or_else(|_| Self::explain(body))?;
        if head
            .nonce
            .as_ref()
            .is_some_and(|nonce| nonce.chars().count() > MAX_NONCE)
        {
            return Err(Error::BadRequest(format!(
                "nonce must have at most {MAX_NONCE} characters."
            )));
        }
        Ok(head)
    }

    /// Reads it once more, to say where it is wrong: keeping the path costs more than all else here.
    fn explain(body: &'a [u8]) -> Result<Self, Error> {
        let mut track = Track::new();
        let mut json = serde_json::Deserializer::from_slice(body);
        Self::deserialize(serde_path_to_error::Deserializer::new(
            &mut json, &mut track,
        ))
        .and_then(|head| json.end().map(|()| head))
        .map_err(|error| Error::BadRequest(sentence(&track.path().to_string(), &error)))
    }

    /// The version that the client says it has.
    #[must_use]
    pub fn version(&self) -> ClientVersion {
        ClientVersion::of_code(self.clientversioncode)
    }
}

/// How many rows a page has: 1 to `MAX`, if the client says.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageSize<const MAX: usize>(pub Option<usize>);

impl<const MAX: usize> PageSize<MAX> {
    /// What is asked for, or 50.
    #[must_use]
    pub fn or_default_size(self) -> usize {
        self.0.unwrap_or(50)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for PageSize<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = match serde_json::Value::deserialize(from)? {
            serde_json::Value::Null => return Ok(Self::default()),
            serde_json::Value::String(text) if text.is_empty() => return Ok(Self::default()),
            number => number.as_u64(),
        };
        match number.and_then(|number| usize::try_from(number).ok()) {
            Some(limit) if (1..=MAX).contains(&limit) => Ok(Self(Some(limit))),
            _ => Err(de::Error::custom(format_args!(
                "expected a whole number from 1 to {MAX}"
            ))),
        }
    }
}

/// Reads a body as the variant of `A` that `name` names.
///
/// # Errors
/// `UnknownAction`, or `BadRequest` with the field and what it must be.
pub fn action<'de, A: Deserialize<'de>>(name: &str, body: &'de [u8]) -> Result<A, Error> {
    if let Ok(action) = A::deserialize(Named {
        name,
        body,
        track: None,
    }) {
        return Ok(action);
    }
    // Read once more, to say where it is wrong.
    let mut track = Track::new();
    A::deserialize(Named {
        name,
        body,
        track: Some(&mut track),
    })
    .map_err(|refused| match refused {
        Refused::Variant => Error::UnknownAction,
        Refused::Fields(error) => Error::BadRequest(sentence(&track.path().to_string(), &error)),
    })
}

/// What serde calls a type, and what a person does.
const PLAIN_WORDS: [(&str, &str); 6] = [
    ("a string", "text"),
    ("a borrowed string", "text"),
    ("a map", "an object"),
    ("a sequence", "a list"),
    ("i64", "a whole number"),
    ("a boolean", "true or false"),
];
/// Marks a sentence that is about a field within another one.
const WITHIN: &str = "within ";

/// Says which field is wrong and what it must be.
fn sentence(path: &str, error: &serde_json::Error) -> String {
    let is_whole = path == "." || path == "?";
    let text = error.to_string();
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
        .filter(|c| !c.is_control())
        .take(MAX_SENTENCE)
        .collect()
}

/// Reads an optional text field: absent, null and empty all mean that it is not given.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| {
        T::deserialize(
            IntoDeserializer::<D::Error>::into_deserializer(text) as StringDeserializer<D::Error>
        )
    })
    .transpose()
}

/// Reads a JSON document in a string, or an object as it stands.
pub fn document<'de, D: Deserializer<'de>, T: for<'a> Deserialize<'a>>(
    from: D,
) -> Result<T, D::Error> {
    struct Document<T>(std::marker::PhantomData<T>);
    impl<'de, T: for<'a> Deserialize<'a>> Visitor<'de> for Document<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object, in a string or as it is")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            if !text.trim_start().starts_with('{') {
                return Err(E::invalid_type(de::Unexpected::Other("text"), &self));
            }
            if let Ok(value) = serde_json::from_str(text) {
                return Ok(value);
            }
            let mut track = Track::new();
            let mut json = serde_json::Deserializer::from_str(text);
            T::deserialize(serde_path_to_error::Deserializer::new(
                &mut json, &mut track,
            ))
            .and_then(|value| json.end().map(|()| value))
            .map_err(|error| match sentence(&track.path().to_string(), &error) {
                _ if error.is_syntax() || error.is_eof() => {
                    E::invalid_type(de::Unexpected::Other("text"), &self)
                }
                sentence => E::custom(format_args!("{WITHIN}{sentence}")),
            })
        }
        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(de::value::MapAccessDeserializer::new(map))
        }
    }
    from.deserialize_any(Document(std::marker::PhantomData))
}

/// A body, presented to serde as the enum variant that its `action` names.
struct Named<'a, 't, 'de> {
    name: &'a str,
    body: &'de [u8],
    track: Option<&'t mut Track>,
}

/// Why serde could not read a variant.
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
        Ok(())
    }
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refused> {
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
