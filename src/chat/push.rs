//! Web Push: the key by which push services know this server, and which stations are pushed.

use std::fmt;

use aws_lc_rs::{
    agreement::{self, ECDH_P256},
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Call, error::Error};
use crate::store;
use parlance_wire::text::PushEndpoint;

/// Separates the key for pushes from other uses of the server's seed.
const PUSH: &str = "parlance push 1";
/// Of 2³² derived numbers, one is no key. If it is the first, the next one is taken.
const ATTEMPTS: u8 = 4;

/// The key pair by which push services know this server (VAPID, RFC 8292), a P-256 key. It is
/// derived from the server's seed: so all nodes have it, backups hold it, and nobody has to make or
/// keep it. `Debug` shows the public half only.
pub(crate) struct PushKey {
    pair: EcdsaKeyPair,
    public: String,
}

impl PushKey {
    /// The key that belongs to this seed.
    ///
    /// # Errors
    /// `Internal`, if no key can be derived.
    pub(super) fn derive(seed: &[u8]) -> Result<Self, Error> {
        let derived = (0..ATTEMPTS).find_map(|attempt| {
            let text = format!("{PUSH}\n{attempt}\n");
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, seed), text.as_bytes());
            Self::of(tag.as_ref())
        });
        derived.ok_or_else(|| Error::Internal("the key for pushes cannot be derived".into()))
    }

    /// Returns `None` if the number is not in the range of keys.
    fn of(number: &[u8]) -> Option<Self> {
        let private = agreement::PrivateKey::from_private_key(&ECDH_P256, number).ok()?;
        let public = private.compute_public_key().ok()?;
        let pair = EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            number,
            public.as_ref(),
        );
        Some(Self {
            pair: pair.ok()?,
            public: URL_SAFE_NO_PAD.encode(public.as_ref()),
        })
    }

    /// The public key as browsers take it: an uncompressed point in base64url.
    pub(crate) fn public(&self) -> &str {
        &self.public
    }

    /// The signature of ES256 (RFC 7518).
    ///
    /// # Errors
    /// `Internal`.
    pub(crate) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self
            .pair
            .sign(&SystemRandom::new(), text)
            .map_err(|_| Error::Internal("a push cannot be signed".into()))?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for PushKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushKey({})", self.public)
    }
}

/// Pushes the caller's station at this address from now on. Idempotent.
///
/// # Errors
/// `NotAllowed` where pushes are turned off; `UserNotFound`, if the station was ended meanwhile.
pub(crate) async fn enable(call: &Call<'_>, endpoint: &PushEndpoint) -> Result<(), Error> {
    let queue = call.services.push.as_ref().ok_or(Error::NotAllowed(
        "Push notifications are disabled on this server.",
    ))?;
    if !store::push::enable(&call.services.db, call.user, call.station, endpoint).await? {
        return Err(Error::UserNotFound);
    }
    // It may have a socket open already.
    queue.socket_changed(call.user, call.station, false);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_seed_has_one_key_and_each_key_another_seed() {
        let [one, same, other] =
            [[1; 32], [1; 32], [2; 32]].map(|seed| PushKey::derive(&seed).unwrap());
        assert_eq!(one.public(), same.public());
        assert_ne!(one.public(), other.public());
        assert_eq!(URL_SAFE_NO_PAD.decode(one.public()).unwrap().len(), 65);
        assert!(!format!("{one:?}").contains("EcdsaKeyPair"));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(PushKey::of(&[0; 32]).is_none());
        assert!(PushKey::of(&[0xff; 32]).is_none());
    }
}
