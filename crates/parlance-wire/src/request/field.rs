//! Parsing and writing single fields: optional text, page sizes, a document in a string.

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, IntoDeserializer, value::StringDeserializer},
};

use crate::id::MessageId;

/// Maximum rows of a page: 1 to `MAX`, if it is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageSize<const MAX: usize>(pub Option<usize>);

impl<const MAX: usize> PageSize<MAX> {
    /// The requested size, or 50.
    #[must_use]
    pub fn or_default_size(self) -> usize {
        self.0.unwrap_or(50)
    }

    /// Returns `true` when it is not given: the server's default applies.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl<const MAX: usize> Serialize for PageSize<MAX> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for PageSize<MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // As for text: the published clients send null or an empty string for an absent field.
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

/// Reads a list of at most `MAX` message ids.
pub(super) fn message_ids<'de, D: Deserializer<'de>, const MAX: usize>(
    from: D,
) -> Result<Vec<MessageId>, D::Error> {
    let ids = Vec::deserialize(from)?;
    // Each one is looked up by a statement that holds the conversation's lock.
    if ids.len() > MAX {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX} message ids"
        )));
    }
    Ok(ids)
}

/// Parses an optional text field: absent, null and empty all mean that it is not given.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
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

/// A JSON document in a string. A plain object is accepted as well.
pub(super) mod document {
    use std::{fmt, marker::PhantomData};

    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{self, Visitor},
        ser,
    };
    use serde_path_to_error::Track;

    use crate::request::read::{WITHIN, sentence};

    pub(in crate::request) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&serde_json::to_string(value).map_err(ser::Error::custom)?)
    }

    pub(in crate::request) fn deserialize<'de, D: Deserializer<'de>, T: for<'a> Deserialize<'a>>(
        from: D,
    ) -> Result<T, D::Error> {
        from.deserialize_any(Document(PhantomData))
    }

    struct Document<T>(PhantomData<T>);

    impl<'de, T: for<'a> Deserialize<'a>> Visitor<'de> for Document<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object, in a string or as it is")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            // serde would also parse a struct from an array.
            if !text.trim_start().starts_with('{') {
                return Err(E::invalid_type(de::Unexpected::Other("text"), &self));
            }
            if let Ok(value) = serde_json::from_str(text) {
                return Ok(value);
            }
            // Parsed again for the path alone, as tracking it costs more than parsing.
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
}
