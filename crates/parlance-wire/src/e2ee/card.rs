//! A card states a user's keys. The user signs it with both keys; a renewed card is also signed by
//! its predecessor's key.

mod signed;

pub use self::signed::{CardSignatures, RsaSignature, SignedCard, Succession};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    CardHash, Invalid, RsaKeyHash, ServerId, SignKey, canonical, encoding::or_empty, label, sha256,
};
use crate::{id::UserId, text::Email};

/// Maximum size of a card: an address has at most 254 bytes, none of which is escaped.
const MAX_CARD: usize = 1024;

/// A user's keys on one server. In JSON it is a string with the canonical text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    text: String,
    fields: Fields,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fields {
    v: u32,
    user: UserId,
    email: Email,
    server: ServerId,
    sign: SignKey,
    rsa: RsaKeyHash,
    n: u64,
    #[serde(with = "or_empty")]
    prev: Option<CardHash>,
}

impl Card {
    /// A user's first card.
    ///
    /// # Errors
    /// `TooLong`: the address is longer than a valid one.
    pub fn first(
        email: Email,
        server: ServerId,
        sign: SignKey,
        rsa: RsaKeyHash,
    ) -> Result<Self, Invalid> {
        Self::new(Fields {
            v: 1,
            user: UserId::of(&email),
            email,
            server,
            sign,
            rsa,
            n: 1,
            prev: None,
        })
    }

    /// The first card of an account whose address belonged to a deleted account. It follows that one's
    /// newest card, whose number and hash are in the key log, and is a new identity, as the
    /// predecessor's key is not available.
    ///
    /// # Errors
    /// As for [`first`](Self::first).
    pub fn after(
        (n, prev): (u64, CardHash),
        email: Email,
        server: ServerId,
        sign: SignKey,
        rsa: RsaKeyHash,
    ) -> Result<Self, Invalid> {
        Self::new(Fields {
            v: 1,
            user: UserId::of(&email),
            email,
            server,
            sign,
            rsa,
            // Never saturates unnoticed: canonical JSON refuses numbers from 2^53 on.
            n: n.saturating_add(1),
            prev: Some(prev),
        })
    }

    /// The next card, with other keys.
    ///
    /// # Errors
    /// As for [`first`](Self::first).
    pub fn next(&self, sign: SignKey, rsa: RsaKeyHash) -> Result<Self, Invalid> {
        Self::new(Fields {
            sign,
            rsa,
            n: self.fields.n.saturating_add(1),
            prev: Some(self.hash()),
            ..self.fields.clone()
        })
    }

    fn new(fields: Fields) -> Result<Self, Invalid> {
        Self::checked(canonical::write(&fields)?, fields)
    }

    /// Parses a card.
    ///
    /// # Errors
    /// `TooLong`, `Json`, `Number`, `NotCanonical`, `Version`; `Owner`: the user is not that of the
    /// address; `Order`: the first has no predecessor, every other one has.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        Self::checked(text.to_owned(), canonical::read(text, MAX_CARD)?)
    }

    fn checked(text: String, fields: Fields) -> Result<Self, Invalid> {
        if text.len() > MAX_CARD {
            return Err(Invalid::TooLong);
        }
        if fields.v != 1 {
            return Err(Invalid::Version(fields.v));
        }
        // Else a card could show the address of another user.
        if fields.user != UserId::of(&fields.email) {
            return Err(Invalid::Owner);
        }
        if fields.n == 0 || (fields.n == 1) != fields.prev.is_none() {
            return Err(Invalid::Order);
        }
        Ok(Self { text, fields })
    }

    /// Its canonical JSON.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The hash that others pin.
    #[must_use]
    pub fn hash(&self) -> CardHash {
        CardHash::from_bytes(sha256(&[self.text.as_bytes()]))
    }

    /// The text that is signed.
    #[must_use]
    pub fn signed_text(&self) -> Vec<u8> {
        [label::CARD.as_bytes(), self.text.as_bytes()].concat()
    }

    /// The user whose keys the card states.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.fields.user
    }

    /// The owner's address.
    #[must_use]
    pub fn email(&self) -> &Email {
        &self.fields.email
    }

    /// The server on which it is valid.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.fields.server
    }

    /// The owner's signing key.
    #[must_use]
    pub fn sign(&self) -> SignKey {
        self.fields.sign
    }

    /// The hash of the owner's RSA key, which signs requests and unwraps secrets.
    #[must_use]
    pub fn rsa(&self) -> RsaKeyHash {
        self.fields.rsa
    }

    /// Its number, starting with 1.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.fields.n
    }

    /// The hash of the previous card.
    #[must_use]
    pub fn prev(&self) -> Option<CardHash> {
        self.fields.prev
    }
}

impl Serialize for Card {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Card {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        Self::parse(&text)
            .map_err(|error| de::Error::custom(format_args!("expected a card: {error}")))
    }
}
