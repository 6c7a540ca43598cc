//! A user's keys: the signing pair, whose private key is encrypted with a password, and the apikey
//! (docs/api.md, End-to-end encryption).
//!
//! ```
//! use parlance_client::keys::KeyPair;
//!
//! # fn main() -> Result<(), parlance_client::keys::KeyError> {
//! let pair = KeyPair::generate()?;
//! // Stored by the server, which returns it at login.
//! let encrypted = pair.encrypt("a long password")?;
//! let again = KeyPair::decrypt(&encrypted, "a long password")?;
//! assert_eq!(again.public_key(), pair.public_key());
//! # Ok(())
//! # }
//! ```

use std::{fmt, num::NonZeroU32};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    pbkdf2,
    rand::{self, SystemRandom},
    rsa,
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    key::Credential,
    text::{Email, EncryptedKey},
};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument, pkcs5::pbes2,
};
use thiserror::Error;

/// Rounds of PBKDF2, for the apikey and for encrypting the private key. All clients have to use the
/// same number (docs/api.md), or the same password would give another apikey.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(600_000 - 1);
/// The PEM label of an encrypted private key.
const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// The reasons why a key cannot be generated, used, encrypted or decrypted.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
    /// A key pair could not be made.
    #[error("a key pair could not be made")]
    Generate,
    /// The bytes are not an RSA key pair of at least 2048 bits.
    #[error("not an RSA key pair of at least 2048 bits")]
    NotAKeyPair,
    /// The library refused to sign with this key.
    #[error("a text could not be signed")]
    Sign,
    /// The text is not an encrypted private key, or the password is not the one it was encrypted under.
    #[error("the private key cannot be decrypted: another password, or no encrypted key")]
    Decrypt(#[source] pkcs8::Error),
    /// The private key could not be encrypted.
    #[error("the private key cannot be encrypted")]
    Encrypt(#[source] pkcs8::Error),
    /// The encrypted private key is longer than servers accept.
    #[error("the encrypted private key is too long")]
    TooLong,
}

/// A user's RSA key pair. `Debug` does not show it.
pub struct KeyPair {
    pair: rsa::KeyPair,
    public_key: String,
    random: SystemRandom,
}

impl KeyPair {
    /// Generates a pair of 2048 bits, which takes a tenth of a second or more.
    pub fn generate() -> Result<Self, KeyError> {
        // 2048 bits are the minimum that servers accept; a longer key would make every request more
        // expensive to sign.
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(|_| KeyError::Generate)?;
        Self::new(pair)
    }

    /// Generates a pair of 3072 bits, for an account of version 4, which takes half a second or
    /// more.
    pub fn generate_3072() -> Result<Self, KeyError> {
        let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa3072).map_err(|_| KeyError::Generate)?;
        Self::new(pair)
    }

    /// The pair as PKCS#8, DER; wiped when it is dropped.
    pub fn to_pkcs8(&self) -> Result<Pkcs8V1Der<'static>, KeyError> {
        self.pair.as_der().map_err(|_| KeyError::NotAKeyPair)
    }

    /// Reads a pair from PKCS#8, DER.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let pair = rsa::KeyPair::from_pkcs8(der).map_err(|_| KeyError::NotAKeyPair)?;
        Self::new(pair)
    }

    fn new(pair: rsa::KeyPair) -> Result<Self, KeyError> {
        let der: PublicKeyX509Der<'_> = pair
            .public_key()
            .as_der()
            .map_err(|_| KeyError::NotAKeyPair)?;
        Ok(Self {
            public_key: STANDARD.encode(der.as_ref()),
            pair,
            random: SystemRandom::new(),
        })
    }

    /// The public key: base64 of the DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key(&self) -> &str {
        &self.public_key
    }

    /// Signs a text with RSASSA-PKCS1-v1_5 and SHA-256; base64.
    pub fn sign(&self, text: &[u8]) -> Result<String, KeyError> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &self.random, text, &mut signature)
            .map_err(|_| KeyError::Sign)?;
        Ok(STANDARD.encode(signature))
    }

    /// Encrypts the private key with a password: PKCS#8 as PEM (PBES2: PBKDF2-HMAC-SHA256,
    /// AES-256-CBC), which openssl and WebCrypto can decrypt as well. Takes a tenth of a second or
    /// more.
    pub fn encrypt(&self, password: &str) -> Result<EncryptedKey, KeyError> {
        // Random for every encryption, or the server could tell that a password was used again.
        let (mut salt, mut iv) = ([0; 16], [0; 16]);
        rand::fill(&mut salt).map_err(|_| KeyError::Random)?;
        rand::fill(&mut iv).map_err(|_| KeyError::Random)?;
        let der = self.to_pkcs8()?;
        let pem = encrypt(der.as_ref(), password, &salt, iv).map_err(KeyError::Encrypt)?;
        EncryptedKey::parse(&pem).ok_or(KeyError::TooLong)
    }

    /// Decrypts the result of [`encrypt`](Self::encrypt), which is `rsakey` in the answer to a
    /// login.
    pub fn decrypt(key: &EncryptedKey, password: &str) -> Result<Self, KeyError> {
        let der = decrypt(key.as_str(), password).map_err(KeyError::Decrypt)?;
        Self::from_pkcs8(der.as_bytes())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sessions and errors are logged with `Debug`, and a private key must not get into the log.
        f.write_str("KeyPair")
    }
}

fn encrypt(der: &[u8], password: &str, salt: &[u8], iv: [u8; 16]) -> pkcs8::Result<String> {
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS.get(), salt, iv)?;
    // PBES2, which openssl and WebCrypto support, so that users can decrypt their key without this
    // library.
    let document = PrivateKeyInfoRef::try_from(der)?.encrypt_with_params(parameters, password)?;
    Ok(document.to_pem(LABEL, LineEnding::LF)?.to_string())
}

fn decrypt(pem: &str, password: &str) -> pkcs8::Result<SecretDocument> {
    let (_, document) = SecretDocument::from_pem(pem)?;
    EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())?.decrypt(password)
}

/// Derives the apikey from a password: hex of PBKDF2-HMAC-SHA256, salted with the address, so that
/// the server never sees the password. Takes a tenth of a second or more.
#[must_use]
pub fn apikey(email: &Email, password: &str) -> String {
    let mut key = [0; 32];
    // The salt is the address, because a new device knows nothing else before it has logged in.
    let salt = format!("parlance:{}", email.as_str());
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt.as_bytes(),
        password.as_bytes(),
        &mut key,
    );
    hex::encode(key)
}

/// 32 random bytes in hex: the apikey of a service without a password, or the code of an
/// invitation.
pub fn random_secret() -> Result<String, KeyError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(hex::encode(bytes))
}

/// The keys that a client generates for a new user. The server gets `apikey`, the public key, and
/// `encrypted_private_key`.
#[derive(Debug)]
pub struct Account {
    /// The key for logging in.
    pub apikey: Credential,
    /// The key pair that signs their requests.
    pub pair: KeyPair,
    /// The private key under the password.
    pub encrypted_private_key: EncryptedKey,
}

impl Account {
    /// The account of a person with a password.
    pub fn of_person(email: &Email, password: &str) -> Result<Self, KeyError> {
        Self::new(apikey(email, password), password)
    }

    /// The account of a service: its random apikey also encrypts its private key.
    pub fn of_service() -> Result<Self, KeyError> {
        let apikey = random_secret()?;
        // So that a service has a single secret to keep.
        Self::new(apikey.clone(), &apikey)
    }

    fn new(apikey: String, password: &str) -> Result<Self, KeyError> {
        let pair = KeyPair::generate()?;
        Ok(Self {
            encrypted_private_key: pair.encrypt(password)?,
            apikey: Credential::new(apikey).ok_or(KeyError::TooLong)?,
            pair,
        })
    }
}
