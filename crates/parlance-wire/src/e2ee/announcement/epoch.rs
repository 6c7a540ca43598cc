//! An epoch's number, and the commitment to its secret.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::e2ee::{hash::hash, label, sha256};

/// The number of an epoch of a conversation, starting with 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Epoch(u32);

impl Epoch {
    /// The first epoch.
    pub const FIRST: Self = Self(1);

    /// The epoch with this number. Returns `None` for 0.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number > 0).then_some(Self(number))
    }

    /// Its number, at least 1.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The next one. Returns `None` if there are no more numbers.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl TryFrom<u32> for Epoch {
    type Error = &'static str;
    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number).ok_or("expected an epoch, a whole number from 1")
    }
}

impl From<Epoch> for u32 {
    fn from(epoch: Epoch) -> Self {
        epoch.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

hash!(
    /// A commitment to an epoch's secret, which matches only that secret and reveals nothing about
    /// it.
    Commitment
);

/// Commits to a secret.
#[must_use]
pub fn commitment(secret: &[u8; 32]) -> Commitment {
    Commitment::from_bytes(sha256(&[label::SECRET.as_bytes(), secret]))
}
