//! The state of the user's list of conversations that a client has.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Maximum characters of a mark.
// More than a mark of this release has: that of another one is read as none, and not refused.
const MAX_MARK: usize = 128;

/// Identifies the state of a list. Opaque to everyone but the server that made it. 80 hex digits on
/// the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
#[cfg_attr(feature = "sqlx", sqlx(transparent))]
pub struct ListMark([u8; 40]);

impl ListMark {
    /// Reads the wire's form. Returns `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut mark = [0; 40];
        hex::decode_to_slice(text, &mut mark).ok()?;
        Some(Self(mark))
    }

    /// The bytes, as the server wrote them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 40] {
        &self.0
    }
}

impl fmt::Debug for ListMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// The list that a client has, by its mark. The wire's form is a text, empty where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Known {
    /// No list, or one that can no longer be compared: the server returns the whole list.
    #[default]
    Nothing,
    /// The list that came with this mark.
    Since(ListMark),
}

impl From<Option<ListMark>> for Known {
    fn from(mark: Option<ListMark>) -> Self {
        mark.map_or(Self::Nothing, Self::Since)
    }
}

impl Serialize for Known {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => to.serialize_str(""),
            Self::Since(mark) => to.serialize_str(&hex::encode(mark.0)),
        }
    }
}

impl<'de> Deserialize<'de> for Known {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text.len() > MAX_MARK {
            return Err(de::Error::custom(format_args!(
                "expected a text of at most {MAX_MARK} characters"
            )));
        }
        // Another release may have written another form: then nothing is known.
        Ok(ListMark::parse(&text).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_and_what_is_none_is_nothing() {
        let read = |text: String| serde_json::from_value::<Known>(text.into());
        let text = "0123456789abcdef".repeat(5);
        let known = read(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(known).unwrap(), text);
        for other in ["", "x", &text[1..], &"g".repeat(80), &"x".repeat(128)] {
            assert_eq!(read(other.into()).unwrap(), Known::Nothing, "{other}");
        }
        assert_eq!(serde_json::to_value(Known::Nothing).unwrap(), "");
        assert!(read("x".repeat(129)).is_err());
        assert!(serde_json::from_value::<Known>(5.into()).is_err());
    }
}
