//! A card's signatures: by its own keys, and by its predecessor's.

use serde::{Deserialize, Serialize};

use super::Card;
use crate::{
    e2ee::{
        Invalid, Signature,
        encoding::{as_base64, or_empty},
    },
    key::PublicKey,
};

/// Maximum size of an RSA signature: that of an 8192-bit key.
const MAX_RSA_SIGNATURE: usize = 1024;

/// A signature by an RSA key: RSASSA-PKCS1-v1_5 with SHA-256. Base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaSignature(Vec<u8>);

impl RsaSignature {
    /// From bytes. Returns `None` if there are more than the largest key produces.
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
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct CardSignatures {
    /// The signature by the card's signing key.
    pub sign: Signature,
    /// The signature by the card's RSA key.
    pub rsa: RsaSignature,
    /// The signature by the previous card's key. Empty if there is no such card, or the key was
    /// lost.
    #[serde(with = "or_empty")]
    #[cfg_attr(any(test, feature = "schema"), schemars(with = "Signature"))]
    pub prev: Option<Signature>,
}

/// A card with its signatures, as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(schemars::JsonSchema))]
pub struct SignedCard {
    /// The card that was signed.
    pub card: Card,
    /// The signatures over it.
    pub signatures: CardSignatures,
}

/// The relation of a card to its predecessor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Succession {
    /// The owner of the previous card has signed this one with new keys.
    Renewed,
    /// Not signed with the previous keys: they were lost, or this is someone else.
    NewIdentity,
}

impl SignedCard {
    /// Checks the signatures by the card's own keys. `rsa` is the user's public key, of which the
    /// card only has the hash.
    ///
    /// # Errors
    /// `RsaKey`, `Signature`, `RsaSignature`; `Order`: a first card with a predecessor's signature.
    pub fn verify(&self, rsa: &PublicKey) -> Result<(), Invalid> {
        // Told apart from a wrong signature: after an operator's reset no card names the key yet. A
        // client then keeps the cards, and stops sending.
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

    /// Checks only the signature by the signing key, for a replaced card whose RSA key is no longer
    /// available.
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

    /// Determines the relation to the previous card. The card's own signatures are checked by
    /// [`verify`](Self::verify).
    ///
    /// # Errors
    /// `Order`: it does not follow that card. `PredecessorSignature`: a wrong signature is not the
    /// same as none.
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
    use crate::{
        e2ee::{RsaKeyHash, ServerId, SignKey},
        text::Email,
    };

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
        assert_eq!(after, second, "even if nobody has the previous card");
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
