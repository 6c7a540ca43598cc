//! What a client makes for a new user: the apikey from the password, the key pair, and the private
//! key under the password (docs/api.md, End-to-end encryption). The command line is such a client.

use std::num::NonZeroU32;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    pbkdf2, rand,
    rsa::{KeySize, PrivateDecryptingKey},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use pkcs8::{LineEnding, PrivateKeyInfoRef, pkcs5::pbes2};

use parlance_wire::{
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey},
};

/// Rounds of PBKDF2, for the apikey and for the private key's encryption. Clients use the same number (docs/api.md), or
/// the same password would make another apikey.
const ROUNDS: NonZeroU32 = NonZeroU32::MIN.saturating_add(600_000 - 1);

/// Why a key could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system has no random numbers.
    #[error("the system has no random numbers")]
    Random,
    /// The key pair could not be made, or is not one that the server takes.
    #[error("a key pair could not be made")]
    KeyPair,
    /// The private key could not be read.
    #[error("the private key cannot be encrypted")]
    Encode(#[from] pkcs8::Error),
    /// The private key could not be encrypted.
    #[error("the private key cannot be encrypted")]
    Encrypt(#[from] pkcs8::pkcs5::Error),
    /// The encrypted key is longer than the server takes.
    #[error("the encrypted private key is too long")]
    TooLong,
}

/// What opens a new account, and what the server may hold of it.
pub(super) struct Account {
    /// What the client sends to log in.
    pub apikey: String,
    /// What the server keeps of that.
    pub key_hash: SecretHash,
    /// What signatures are checked with.
    pub public_key: PublicKey,
    /// The private key, which only the password opens.
    pub encrypted_private_key: EncryptedKey,
}

/// The account of a person with a password.
pub(super) fn of_person(email: &Email, password: &str) -> Result<Account, Error> {
    let mut key = [0; 32];
    // With the address, so that two users with one password have two apikeys.
    let salt = format!("parlance:{}", email.as_str());
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        ROUNDS,
        salt.as_bytes(),
        password.as_bytes(),
        &mut key,
    );
    account(hex::encode(key), password)
}

/// The account of a service: its key is random, and opens its private key as well.
pub(super) fn of_service() -> Result<Account, Error> {
    // There is no password: the apikey, which is as random as a key, opens the private key, too.
    let apikey = random()?;
    account(apikey.clone(), &apikey)
}

/// 32 random bytes in hex.
pub(super) fn random() -> Result<String, Error> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(hex::encode(bytes))
}

fn account(apikey: String, password: &str) -> Result<Account, Error> {
    let failed = |_| Error::KeyPair;
    let pair = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
    let private: Pkcs8V1Der = pair.as_der().map_err(failed)?;
    let public: PublicKeyX509Der = pair.public_key().as_der().map_err(failed)?;
    let public = STANDARD.encode(public.as_ref());
    Ok(Account {
        key_hash: SecretHash::of(&apikey),
        apikey,
        public_key: PublicKey::parse(&public).ok_or(Error::KeyPair)?,
        encrypted_private_key: encrypt(private.as_ref(), password)?,
    })
}

fn encrypt(private: &[u8], password: &str) -> Result<EncryptedKey, Error> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    rand::fill(&mut salt).map_err(|_| Error::Random)?;
    rand::fill(&mut iv).map_err(|_| Error::Random)?;
    let parameters = pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(ROUNDS.get(), &salt, iv)?;
    let document =
        PrivateKeyInfoRef::try_from(private)?.encrypt_with_params(parameters, password)?;
    let pem = document
        .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
        .map_err(pkcs8::Error::from)?;
    EncryptedKey::parse(&pem).ok_or(Error::TooLong)
}
