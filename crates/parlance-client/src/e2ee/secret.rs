//! An epoch's secret, and wrapping it for each participant.

use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{Commitment, commitment, sha256},
    key::PublicKey,
    text::Secret,
};
use zeroize::Zeroizing;

use super::{Error, cipher::secret_key};
use crate::keys::{KeyError, KeyPair};

/// The name of a secret, by which a reader selects the right one.
pub type Kid = [u8; 8];

secret_key!(
    random
    /// The secret of an epoch: 32 random bytes.
    EpochSecret
);

impl EpochSecret {
    /// Its bytes, for a store that keeps them as secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The commitment to it in an announcement.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        commitment(&self.0)
    }

    /// Its name in messages, which reveals nothing about it.
    #[must_use]
    pub fn kid(&self) -> Kid {
        let mut kid = [0; 8];
        let hash = sha256(&[b"parlance kid 1\n", self.as_bytes()]);
        kid.copy_from_slice(hash.split_at(8).0);
        kid
    }

    /// Wraps it for the owner of a key: RSA-OAEP with SHA-256, base64, as published.
    ///
    /// # Errors
    /// `Key`: not a valid key.
    pub fn wrap(&self, key: &PublicKey) -> Result<Secret, Error> {
        let der = STANDARD
            .decode(key.as_str())
            .map_err(|_| KeyError::NotAKeyPair)?;
        let key = PublicEncryptingKey::from_der(&der)
            .ok()
            .and_then(|key| OaepPublicEncryptingKey::new(key).ok())
            .ok_or(KeyError::NotAKeyPair)?;
        let mut wrapped = vec![0; key.ciphertext_size()];
        let wrapped = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, self.as_bytes(), &mut wrapped, None)
            .map_err(|_| Error::Crypto)?;
        Secret::parse(STANDARD.encode(wrapped)).ok_or(Error::TooLong)
    }

    /// Unwraps it. Whether it is the announced one is checked by
    /// [`Epochs::secret`](super::Epochs::secret), as anyone can wrap a secret for anyone.
    ///
    /// # Errors
    /// `WrongSecret`: it was not wrapped for this key, or is not a secret.
    pub fn unwrap(wrapped: &str, pair: &KeyPair) -> Result<Self, Error> {
        let wrapped = STANDARD.decode(wrapped).map_err(|_| Error::WrongSecret)?;
        // aws-lc-rs has separate types for signing and for decrypting with the same key.
        let key = PrivateDecryptingKey::from_pkcs8(pair.to_pkcs8()?.as_ref())
            .ok()
            .and_then(|key| OaepPrivateDecryptingKey::new(key).ok())
            .ok_or(KeyError::NotAKeyPair)?;
        let mut secret = Zeroizing::new(vec![0; key.min_output_size()]);
        let secret = key
            .decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut secret, None)
            .map_err(|_| Error::WrongSecret)?;
        let secret: &[u8; 32] = (&*secret).try_into().map_err(|_| Error::WrongSecret)?;
        Ok(Self::from_bytes(secret))
    }
}
