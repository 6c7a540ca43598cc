//! A card: which keys a user has. The user signs it with both keys; a renewed one is signed by its predecessor, too.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    CardHash, Invalid, RsaKeyHash, ServerId, SignKey, Signature, canonical,
    encoding::{as_base64, or_empty},
    label, sha256,
};
use crate::{id::UserId, key::PublicKey, text::Email};

/// Maximum bytes of a card: an address has at most 254, of which each may be escaped.
const MAX_CARD: usize = 1024;
/// Maximum bytes of an RSA signature: that of a key of 8192 bits.
const MAX_RSA_SIGNATURE: usize = 1024;

/// A user's keys, on one server. In JSON it is a string, its text.
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
    /// `TooLong`: the address is longer than any address.
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

    /// The first card of an account whose address another account had before, after that one's newest card: its number
    /// and hash, as the key log has them. Without its predecessor's key it is a new identity.
    ///
    /// # Errors
    /// As [`first`](Self::first).
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
            n: n.saturating_add(1),
            prev: Some(prev),
        })
    }

    /// The card that follows this one, with other keys.
    ///
    /// # Errors
    /// As [`first`](Self::first).
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

    /// Reads a card's text.
    ///
    /// # Errors
    /// `TooLong`, `Json`, `Number`, `NotCanonical`, `Version`; `Owner`: the user is not that of the address; `Order`:
    /// the first has no predecessor, every other one has.
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

    /// What others pin.
    #[must_use]
    pub fn hash(&self) -> CardHash {
        CardHash::from_bytes(sha256(&[self.text.as_bytes()]))
    }

    /// What is signed.
    #[must_use]
    pub fn signed_text(&self) -> Vec<u8> {
        [label::CARD.as_bytes(), self.text.as_bytes()].concat()
    }

    /// Whose it is.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.fields.user
    }

    /// Their address.
    #[must_use]
    pub fn email(&self) -> &Email {
        &self.fields.email
    }

    /// The server on which it holds.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.fields.server
    }

    /// The key that signs.
    #[must_use]
    pub fn sign(&self) -> SignKey {
        self.fields.sign
    }

    /// The RSA key, which signs requests and opens wrapped secrets.
    #[must_use]
    pub fn rsa(&self) -> RsaKeyHash {
        self.fields.rsa
    }

    /// Its number: 1 for the first.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.fields.n
    }

    /// The card before it.
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

/// A signature by an RSA key: RSASSA-PKCS1-v1_5 with SHA-256. Base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaSignature(Vec<u8>);

impl RsaSignature {
    /// Of these bytes. `None`: more than the largest key makes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() <= MAX_RSA_SIGNATURE).then(|| Self(bytes.to_owned()))
    }
}

impl AsRef<[u8]> for RsaSignature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

as_base64!(RsaSignature, "base64 of an RSA signature");

/// The signatures over a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CardSignatures {
    /// By the card's signing key.
    pub sign: Signature,
    /// By the card's RSA key.
    pub rsa: RsaSignature,
    /// By the signing key of the card before. Empty where there is none, or where its key was lost.
    #[serde(with = "or_empty")]
    #[cfg_attr(test, schemars(with = "Signature"))]
    pub prev: Option<Signature>,
}

/// A card with its signatures: what is published, and what others get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SignedCard {
    /// The card.
    pub card: Card,
    /// The signatures over it.
    pub signatures: CardSignatures,
}

/// What a card is to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// The same person has renewed their keys: the card before signed it.
    Renewed,
    /// Nobody who had the keys before vouches for these: everything was lost, or it is someone else.
    NewIdentity,
}

impl SignedCard {
    /// Checks the signatures by the card's own keys. `rsa` is the user's public key, which the card only names.
    ///
    /// # Errors
    /// `RsaKey`, `Signature`, `RsaSignature`; `Order`: a first card with a predecessor's signature.
    pub fn verify(&self, rsa: &PublicKey) -> Result<(), Invalid> {
        if self.card.rsa() != rsa.hash() {
            return Err(Invalid::RsaKey);
        }
        self.verify_sign()?;
        let text = self.card.signed_text();
        if !rsa.verifies(&text, self.signatures.rsa.as_ref()) {
            return Err(Invalid::RsaSignature);
        }
        Ok(())
    }

    /// Checks the signature by the signing key alone: for a card that was replaced, whose RSA key nobody has any more.
    ///
    /// # Errors
    /// `Signature`; `Order`: a first card with a predecessor's signature.
    pub fn verify_sign(&self) -> Result<(), Invalid> {
        if self.card.n() == 1 && self.signatures.prev.is_some() {
            return Err(Invalid::Order);
        }
        let text = self.card.signed_text();
        if !self.card.sign().verifies(&text, &self.signatures.sign) {
            return Err(Invalid::Signature);
        }
        Ok(())
    }

    /// What this card is to the one before it. Its own signatures are checked by [`verify`](Self::verify).
    ///
    /// # Errors
    /// `Order`: it does not follow that card. `PredecessorSignature`: a wrong one is not the same as none.
    pub fn succeeds(&self, before: &Card) -> Result<Succession, Invalid> {
        let card = &self.card;
        let follows = card.n().checked_sub(1) == Some(before.n())
            && card.prev() == Some(before.hash())
            && card.user() == before.user()
            && card.server() == before.server();
        if !follows {
            return Err(Invalid::Order);
        }
        match &self.signatures.prev {
            None => Ok(Succession::NewIdentity),
            Some(signature) if before.sign().verifies(&card.signed_text(), signature) => {
                Ok(Succession::Renewed)
            }
            Some(_) => Err(Invalid::PredecessorSignature),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    fn pair(seed: u8) -> (Ed25519KeyPair, SignKey) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
        let key = SignKey::from_bytes(pair.public_key().as_ref()).unwrap();
        (pair, key)
    }

    fn first(sign: SignKey) -> Card {
        let email = Email::parse("ann@example.org").unwrap();
        let server = ServerId::parse("000102030405060708090a0b0c0d0e0f").unwrap();
        Card::first(email, server, sign, RsaKeyHash::of_der(b"key")).unwrap()
    }

    fn signed(card: Card, by: &Ed25519KeyPair, before: Option<&Ed25519KeyPair>) -> SignedCard {
        let sign = |pair: &Ed25519KeyPair| {
            Signature::from_bytes(pair.sign(&card.signed_text()).as_ref()).unwrap()
        };
        let signatures = CardSignatures {
            sign: sign(by),
            rsa: RsaSignature(vec![]),
            prev: before.map(sign),
        };
        SignedCard { card, signatures }
    }

    #[test]
    fn a_card_is_refused_unless_every_byte_is_as_it_must_be() {
        let card = first(pair(1).1);
        assert_eq!(Card::parse(card.text()).unwrap(), card);
        let second = card.next(pair(2).1, card.rsa()).unwrap();
        assert_eq!((second.n(), second.prev()), (2, Some(card.hash())));
        let newest = (1, card.hash());
        let email = card.email().clone();
        let after = Card::after(newest, email, card.server(), pair(2).1, card.rsa()).unwrap();
        assert_eq!(after, second, "also where nobody has the card before");
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"n\":1", "\"n\":0"),
            ("\"n\":1", "\"n\":2"),
            ("\"n\":1", "\"n\":1.0"),
            ("ann@", "ben@"),
            ("ann@", "Ann@"),
            ("\"v\":1", "\"v\":1,\"w\":1"),
            ("\"v\":1", "\"v\": 1"),
            ("\"server\":\"0001", "\"server\":\"0001-"),
            ("\"prev\":\"\"", "\"prev\":\"00\""),
        ] {
            let text = card.text().replace(from, to);
            assert_ne!(text, card.text());
            assert!(Card::parse(&text).is_err(), "{text}");
        }
        let without = second.text().replace(&card.hash().to_string(), "");
        assert!(matches!(Card::parse(&without), Err(Invalid::Order)));
    }

    #[test]
    fn a_card_is_renewed_by_its_predecessor_alone() {
        let ((old, old_key), (new, new_key), (other, _)) = (pair(1), pair(2), pair(3));
        let card = first(old_key);
        let next = card.next(new_key, card.rsa()).unwrap();
        let succession = |before| signed(next.clone(), &new, before).succeeds(&card);
        assert_eq!(succession(Some(&old)).unwrap(), Succession::Renewed);
        assert_eq!(succession(None).unwrap(), Succession::NewIdentity);
        assert!(matches!(
            succession(Some(&other)),
            Err(Invalid::PredecessorSignature)
        ));
        assert!(matches!(
            signed(next.clone(), &new, Some(&old)).succeeds(&next),
            Err(Invalid::Order)
        ));
        assert!(signed(next.clone(), &new, None).verify_sign().is_ok());
        assert!(matches!(
            signed(next, &other, None).verify_sign(),
            Err(Invalid::Signature)
        ));
        assert!(matches!(
            signed(card, &old, Some(&old)).verify_sign(),
            Err(Invalid::Order)
        ));
    }

    #[test]
    fn a_signed_card_comes_back_from_json() {
        let (pair, key) = pair(1);
        let signed = signed(first(key), &pair, None);
        let json = serde_json::to_string(&signed).unwrap();
        assert_eq!(serde_json::from_str::<SignedCard>(&json).unwrap(), signed);
    }
}
