//! Keys: a user's public key, and the hash of an apikey or an invitation's code.

use std::fmt;

use aws_lc_rs::{
    digest,
    encoding::AsDer,
    rsa::PublicEncryptingKey,
    signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::e2ee::RsaKeyHash;

/// Maximum bytes of a secret.
// It is hashed at each login, and no longer one is harder to guess.
const MAX_SECRET: usize = 256;

/// A user's RSA public key, parsed once. On the wire and in PostgreSQL: base64 of the DER
/// `SubjectPublicKeyInfo`, on one line.
pub struct PublicKey {
    text: String,
    key: ParsedPublicKey,
    hash: RsaKeyHash,
}

impl PublicKey {
    /// The required form, for errors.
    pub const EXPECTED: &'static str =
        "base64 of the DER SubjectPublicKeyInfo of an RSA key of 2048 to 8192 bits";

    /// Parses it, and checks kind and size. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Strict base64, so that a key has a single text and is never stored twice.
        let der = STANDARD.decode(text).ok()?;
        // Checks that it is RSA with 2048 to 8192 bits, in its canonical encoding.
        let canonical = PublicEncryptingKey::from_der(&der).ok()?;
        if canonical.as_der().ok()?.as_ref() != der {
            return None;
        }
        let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &der).ok()?;
        Some(Self {
            text: text.to_owned(),
            key,
            hash: RsaKeyHash::of_der(&der),
        })
    }

    /// The key as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns `true` if `signature` is RSASSA-PKCS1-v1_5 with SHA-256 over `text` by this key's
    /// owner.
    #[must_use]
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(text, signature).is_ok()
    }

    /// Its hash, as in a card.
    #[must_use]
    pub fn hash(&self) -> RsaKeyHash {
        self.hash
    }
}

/// A public key, for checking signatures alone.
pub struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// Returns `true` when `signature` is RSASSA-PKCS1-v1_5 with SHA-256 over `text` by this key's owner.
    #[must_use]
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(text, signature).is_ok()
    }
}

impl From<PublicKey> for VerifyingKey {
    fn from(key: PublicKey) -> Self {
        Self(key.key)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey")
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format_args!("expected {}", Self::EXPECTED)))
    }
}

/// A secret that authorizes its holder, as a client sends it: an apikey, or an invitation's code.
/// It can only be written to a request; `Debug` does not show it. The server stores a
/// [`SecretHash`].
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Credential(String);

impl Credential {
    /// Takes a secret of 1 to 256 bytes. Returns `None` for any other.
    #[must_use]
    pub fn new(secret: String) -> Option<Self> {
        (1..=MAX_SECRET)
            .contains(&secret.len())
            .then_some(Self(secret))
    }

    /// The secret itself, for callers that have to store it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

/// The SHA-256 of a secret that grants access (an apikey, an invitation's code), as stored by the
/// server. The secret itself has 256 bits of entropy, or is the output of a slow hash (argon2id, or
/// PBKDF2 as published), so a fast hash is enough: a thief still has to compute the slow one for
/// each guess. A slow hash here would add little to that, cost the server at each login, and could
/// not be looked up by an index, which takes equally long whether or not it exists.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretHash {
    hash: [u8; 32],
    is_short: bool,
}

impl SecretHash {
    /// Hashes a secret as the client sent it.
    #[must_use]
    pub fn of(secret: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self {
            hash,
            // Recorded now, as the hash does not tell.
            is_short: secret.len() < 16,
        }
    }

    /// Returns `true` if the secret was too short: a mistake, or a password.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.is_short
    }

    /// The hash, as PostgreSQL stores it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.hash
    }
}

impl<'de> Deserialize<'de> for SecretHash {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Hashed while it is parsed, so that no later code of the server can log or store the
        // secret.
        let secret = String::deserialize(from)?;
        if (1..=MAX_SECRET).contains(&secret.len()) {
            Ok(Self::of(&secret))
        } else {
            Err(de::Error::custom("expected 1 to 256 characters"))
        }
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash")
    }
}
