//! How far a writer has seen a transcript.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{chain::Chain, e2ee::encoding::or_empty};

/// How far a writer has seen the transcript: the newest message's number and hash
/// (docs/transcript.md). If there is no message yet, the number is 0, and the hash is the chain's
/// beginning; for a conversation that is about to be created, whose instance is unknown, it is
/// empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest message's number.
    pub seq: i64,
    /// The hash over all messages up to it.
    pub chain: Option<Chain>,
}

#[derive(Serialize, Deserialize)]
struct HeadPair(i64, #[serde(with = "or_empty")] Option<Chain>);

impl Serialize for Head {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        HeadPair(self.seq, self.chain).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Head {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let HeadPair(seq, chain) = HeadPair::deserialize(from)?;
        if seq < 0 || (seq > 0 && chain.is_none()) {
            return Err(de::Error::custom("expected a number and its chain"));
        }
        Ok(Self { seq, chain })
    }
}
