//! The server's identity: an id that stays when its host name changes, and the key that signs the
//! head of the key log. Both are created once per database, so all nodes share them.

use std::fmt;

use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use parlance_wire::{
    e2ee::{LogHead, SignKey, Signature, SignedLogHead},
    id::ServerId,
    kdf::{SALT_BYTES, Salt},
    text::Email,
};

use super::{error::Error, push::PushKey};
use crate::store::{self, Db};

/// Separates the key for the salts from other uses of the seed.
const SALTS: &[u8] = b"parlance prelogin 1\n";

/// The server's identity. `Debug` shows only the id.
pub(crate) struct ServerIdentity {
    pub id: ServerId,
    /// The public half of the key.
    pub key: SignKey,
    /// The key by which push services know it.
    pub push: PushKey,
    pair: Ed25519KeyPair,
    /// The key for salts of addresses without a user.
    salts: hmac::Key,
}

impl ServerIdentity {
    /// Reads the identity from a migrated database.
    ///
    /// # Errors
    /// Database errors; `Internal`, if there is no key.
    pub(crate) async fn read(db: &Db) -> Result<Self, Error> {
        let (id, seed) = store::key_log::server_identity(db).await?;
        let no_key = || Error::Internal("the server's signing key cannot be read".into());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| no_key())?;
        let key = SignKey::from_bytes(pair.public_key().as_ref()).ok_or_else(no_key)?;
        let salts = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &seed), SALTS);
        Ok(Self {
            id,
            key,
            push: PushKey::derive(&seed)?,
            pair,
            salts: hmac::Key::new(hmac::HMAC_SHA256, salts.as_ref()),
        })
    }

    /// The salt for an address without a user: always the same, on every node, but different on
    /// other servers.
    #[must_use]
    pub(crate) fn stand_in_salt(&self, email: &Email) -> Salt {
        Salt::new(self.tag(email.as_str()))
    }

    /// 16 bytes by which an account is picked for an address without one: always the same.
    #[must_use]
    pub(crate) fn sample(&self, email: &Email) -> [u8; SALT_BYTES] {
        // No address has a line feed, so that this is nobody's salt.
        self.tag(&format!("{}\n", email.as_str()))
    }

    fn tag(&self, text: &str) -> [u8; SALT_BYTES] {
        let whole = hmac::sign(&self.salts, text.as_bytes());
        let mut tag = [0; SALT_BYTES];
        tag.iter_mut()
            .zip(whole.as_ref())
            .for_each(|(to, from)| *to = *from);
        tag
    }

    /// Signs a head of the key log.
    ///
    /// # Errors
    /// `Internal`.
    pub(crate) fn sign(&self, head: LogHead) -> Result<SignedLogHead, Error> {
        let failed = || Error::Internal("the key log's head cannot be signed".into());
        let signature = self
            .pair
            .try_sign(&head.signed_text())
            .map_err(|_| failed())?;
        let signature = Signature::from_bytes(signature.as_ref()).ok_or_else(failed)?;
        Ok(SignedLogHead { head, signature })
    }
}

impl fmt::Debug for ServerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerIdentity({})", self.id)
    }
}
