//! Encodings of bytes in JSON: hex in lower case, base64, and an empty string for an absent value.

/// Base64 (RFC 4648, section 4) of a type with `as_ref() -> &[u8]` and `TryFrom<&[u8]>`.
macro_rules! as_base64 {
    ($name:ident, $expected:literal) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                use base64::Engine;
                let text = base64::engine::general_purpose::STANDARD.encode(self.as_ref());
                to.serialize_str(&text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                use base64::Engine;
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                base64::engine::general_purpose::STANDARD
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| Self::from_bytes(&bytes))
                    .ok_or_else(|| serde::de::Error::custom(concat!("expected ", $expected)))
            }
        }
    };
}
pub(super) use as_base64;

/// Encodes an absent value as an empty string.
pub(super) mod or_empty {
    use serde::{
        Deserialize, Deserializer, Serialize, Serializer,
        de::{IntoDeserializer, value::StringDeserializer},
    };

    #[allow(
        clippy::ref_option,
        reason = "serde hands out a reference to the field"
    )]
    pub(in crate::e2ee) fn serialize<T: Serialize, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => value.serialize(to),
            None => to.serialize_str(""),
        }
    }

    pub(in crate::e2ee) fn deserialize<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
        from: D,
    ) -> Result<Option<T>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        let text: StringDeserializer<D::Error> = text.into_deserializer();
        T::deserialize(text).map(Some)
    }
}
