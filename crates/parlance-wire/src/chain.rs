//! A hash chain over a transcript: each message has a hash over everything before it
//! (docs/transcript.md).

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{
    id::{ConversationId, MessageId},
    text::Instance,
};

/// SHA-256 of a message's `Data`, as UTF-8. 64 hex digits on the wire.
// A link contains this hash, so that it can be verified after the content was deleted.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
#[cfg_attr(feature = "sqlx", sqlx(transparent))]
pub struct DataHash([u8; 32]);

/// The hash over a conversation's messages up to one of them. 64 hex digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
#[cfg_attr(feature = "sqlx", sqlx(transparent))]
pub struct Chain([u8; 32]);

impl DataHash {
    /// The hash of this text.
    #[must_use]
    pub fn of(data: &str) -> Self {
        Self(sha256(&[data.as_bytes()]))
    }

    /// Parses the wire's form. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok()?;
        Some(Self(hash))
    }
}

impl Chain {
    /// The chain at the beginning of an instance: SHA-256(conversation id ‖ instance).
    #[must_use]
    pub fn beginning(conversation: ConversationId, instance: &Instance) -> Self {
        // From both, so that no transcript can be shown in the place of another one.
        Self(sha256(&[
            conversation.as_bytes(),
            instance.as_str().as_bytes(),
        ]))
    }

    /// The chain with one more message: SHA-256(this ‖ seq, 8 bytes, big-endian ‖ message id, 16 bytes ‖
    /// SHA-256(Data)).
    #[must_use]
    pub fn link(self, seq: i64, message: MessageId, data: DataHash) -> Self {
        Self(sha256(&[
            // All parts have a fixed length, so no two messages have the same input.
            &self.0,
            &seq.to_be_bytes(),
            message.as_bytes(),
            &data.0,
        ]))
    }

    /// Parses the wire's form. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut chain = [0; 32];
        hex::decode_to_slice(text, &mut chain).ok()?;
        Some(Self(chain))
    }
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    // Hashed part by part, which avoids a copy.
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

fn as_hex<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
    // On the stack, as a page of history writes one for each message.
    let mut text = [0; 64];
    hex::encode_to_slice(hash, &mut text).map_err(ser::Error::custom)?;
    to.serialize_str(std::str::from_utf8(&text).map_err(ser::Error::custom)?)
}

impl Serialize for DataHash {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        as_hex(&self.0, to)
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        as_hex(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("expected 64 hexadecimal digits"))
    }
}

impl fmt::Debug for DataHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_matches_the_documented_vector() {
        let document = include_str!("../../../docs/transcript.md");
        let shown = |chain: Chain| document.contains(&format!("`{chain:?}`"));
        let conversation = ConversationId::parse("8ca16186c36a4e0a1ef2096e6c60b613").unwrap();
        let mut chain = Chain::beginning(conversation, &Instance::parse("PqjfKSn7V8").unwrap());
        assert!(shown(chain));
        for (seq, id, data) in [
            (1, "fc2515cb-e483-4f64-936b-98f680565c96", "SGVsbG8="),
            (3, "e64fa984-9b2c-4d32-a965-a1faca1d5b83", "V29ybGQ="),
        ] {
            chain = chain.link(seq, MessageId::parse(id).unwrap(), DataHash::of(data));
            assert!(shown(chain), "{chain:?}");
            assert_eq!(Chain::parse(&format!("{chain:?}")), Some(chain));
        }
    }
}
