//! Hashes, each with a type of its own so that they cannot be confused. 64 hex digits on the wire.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Invalid, ServerId, label, lp, sha256};
use crate::id::UserId;

/// Defines a hash type of 32 bytes.
macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "sqlx", derive(sqlx::Type))]
        #[cfg_attr(feature = "sqlx", sqlx(transparent))]
        pub struct $name([u8; 32]);

        impl $name {
            /// From the bytes of a hash.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(&hex::encode(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
                let mut bytes = [0; 32];
                // Capitals, too: in a signed text, they fail as not canonical.
                hex::decode_to_slice(text.as_bytes(), &mut bytes)
                    .map_err(|_| de::Error::custom("expected 64 hexadecimal digits"))?;
                Ok(Self(bytes))
            }
        }
    };
}
pub(crate) use hash;

hash!(
    /// The hash of a card's text, which others pin.
    CardHash
);
hash!(
    /// The hash of an RSA public key, of its DER `SubjectPublicKeyInfo`.
    RsaKeyHash
);
hash!(
    /// The hash of an announcement's text.
    AnnouncementHash
);
hash!(
    /// The hash over the participants of an epoch and their keys.
    RosterHash
);
hash!(
    /// The name of a user in the key log, which by itself does not reveal the address.
    Tag
);
hash!(
    /// The root of the key log's Merkle tree at one size (RFC 9162, section 2.1).
    LogRoot
);

impl RsaKeyHash {
    /// The hash of a key in this encoding.
    #[must_use]
    pub fn of_der(subject_public_key_info: &[u8]) -> Self {
        Self(sha256(&[subject_public_key_info]))
    }
}

impl Tag {
    /// The tag of a user of a server.
    ///
    /// # Errors
    /// None, as ids have 16 bytes.
    pub fn of(server: ServerId, user: UserId) -> Result<Self, Invalid> {
        let parts = lp(&[server.as_bytes(), user.as_bytes()])?;
        Ok(Self(sha256(&[label::TAG.as_bytes(), &parts])))
    }
}

/// A participant's key in a roster: their card or, for a user without one (a client of version 3),
/// their RSA key. The two cannot be confused: a card begins with `{`, an encoded key with 0x30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKey {
    /// The card of a user who has one.
    Card(CardHash),
    /// The RSA key of a user without a card.
    Rsa(RsaKeyHash),
}

impl MemberKey {
    /// The bytes that enter the roster's hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        match self {
            Self::Card(hash) => hash.as_bytes(),
            Self::Rsa(hash) => hash.as_bytes(),
        }
    }
}

/// The hash over a roster: each user's id and key, in the order of the ids.
#[must_use]
pub fn roster(members: &BTreeMap<UserId, MemberKey>) -> RosterHash {
    // Without lengths in front, as ids and keys have fixed ones.
    let parts: Vec<&[u8]> = members
        .iter()
        .flat_map(|(user, key)| [user.as_bytes().as_slice(), key.as_bytes().as_slice()])
        .collect();
    RosterHash(sha256(&parts))
}
