//! The signing key (Ed25519), which complements the RSA pair of [`crate::keys`], and a user's own
//! cards.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{
        Card, CardHash, CardSignatures, Invalid, RsaSignature, ServerId, SignKey, Signature,
        SignedCard,
    },
    key::PublicKey,
    text::Email,
};
use zeroize::Zeroizing;

use super::{Error, cipher};
use crate::keys::{KeyError, KeyPair};

/// A private key for signing cards, announcements and messages. `Debug` does not show it.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: SignKey,
    seed: Zeroizing<[u8; 32]>,
}

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, Error> {
        Self::from_seed(&*cipher::random()?)
    }

    /// The key with this seed (RFC 8032, section 5.1.5), as stored in the vault.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, Error> {
        // `unchecked`: there is no stored public key with which the seed could be compared.
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Generate)?;
        let public = SignKey::from_bytes(pair.public_key().as_ref()).ok_or(KeyError::Generate)?;
        Ok(Self {
            pair,
            public,
            seed: Zeroizing::new(*seed),
        })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> SignKey {
        self.public
    }

    /// The seed, for the vault.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.seed
    }

    /// Signs a text, which begins with its label.
    pub fn sign(&self, text: &[u8]) -> Result<Signature, Error> {
        let signature = self.pair.try_sign(text).map_err(|_| KeyError::Sign)?;
        Signature::from_bytes(signature.as_ref()).ok_or(Error::Crypto)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

/// A user's first card, signed by both keys. `before` is the newest card of an earlier account with
/// the same address, according to the key log ([`KeyLog::newest`](super::KeyLog::newest)).
///
/// # Errors
/// `Key`: a key cannot sign, or servers do not accept it.
pub fn first_card(
    email: Email,
    server: ServerId,
    sign: &SigningKey,
    rsa: &KeyPair,
    before: Option<(u64, CardHash)>,
) -> Result<SignedCard, Error> {
    let (key, rsa_hash) = (sign.public(), public_key(rsa)?.hash());
    let card = match before {
        None => Card::first(email, server, key, rsa_hash)?,
        Some(before) => Card::after(before, email, server, key, rsa_hash)?,
    };
    signed(card, sign, rsa, None)
}

/// The card after `before`, with other keys. `old` is the key that signed `before`, unless it was
/// lost: then the card is a new identity, and everyone is warned.
///
/// # Errors
/// As for [`first_card`]; `Invalid`: `old` is not the previous card's key.
pub fn next_card(
    before: &Card,
    sign: &SigningKey,
    rsa: &KeyPair,
    old: Option<&SigningKey>,
) -> Result<SignedCard, Error> {
    if old.is_some_and(|old| old.public() != before.sign()) {
        return Err(Invalid::PredecessorSignature.into());
    }
    let card = before.next(sign.public(), public_key(rsa)?.hash())?;
    signed(card, sign, rsa, old)
}

/// The public key of a pair.
pub(crate) fn public_key(rsa: &KeyPair) -> Result<PublicKey, KeyError> {
    PublicKey::parse(rsa.public_key()).ok_or(KeyError::NotAKeyPair)
}

fn signed(
    card: Card,
    sign: &SigningKey,
    rsa: &KeyPair,
    old: Option<&SigningKey>,
) -> Result<SignedCard, Error> {
    let text = card.signed_text();
    let by_rsa = STANDARD
        .decode(rsa.sign(&text)?)
        .map_err(|_| Error::Crypto)?;
    let signatures = CardSignatures {
        sign: sign.sign(&text)?,
        rsa: RsaSignature::from_bytes(&by_rsa).ok_or(Error::TooLong)?,
        prev: old.map(|old| old.sign(&text)).transpose()?,
    };
    Ok(SignedCard { card, signatures })
}
