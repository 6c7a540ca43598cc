//! The two primitives that everything here is built on: HKDF-SHA256 and AES-256-GCM.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
    rand,
};
use zeroize::Zeroizing;

use super::Error;
use crate::keys::KeyError;

/// A key of 32 bytes, wiped when it is dropped.
pub(super) type Key = Zeroizing<[u8; 32]>;

/// Defines a secret key with a type of its own. `Debug` does not show it, and it is wiped when it is
/// dropped. With `random`, new ones can be generated.
macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name($crate::e2ee::cipher::Key);

        impl $name {
            /// From its bytes.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                Self($crate::e2ee::cipher::Key::new(*bytes))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
    (random $(#[$doc:meta])* $name:ident) => {
        $crate::e2ee::cipher::secret_key!($(#[$doc])* $name);

        impl $name {
            /// A new one.
            ///
            /// # Errors
            /// `Key`: there are no random numbers.
            pub fn generate() -> Result<Self, $crate::e2ee::Error> {
                $crate::e2ee::cipher::random().map(Self)
            }
        }
    };
}
pub(super) use secret_key;

/// 32 bytes of HKDF-SHA256 (RFC 5869).
pub(super) fn derive(secret: &[u8], salt: &[u8], info: &[&[u8]]) -> Result<Key, Error> {
    let mut key = Zeroizing::new([0; 32]);
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, HKDF_SHA256)
        .and_then(|okm| okm.fill(key.as_mut()))
        .map_err(|_| Error::Crypto)?;
    Ok(key)
}

/// 32 random bytes.
pub(super) fn random() -> Result<Key, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(bytes.as_mut()).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

/// A random nonce.
pub(super) fn nonce() -> Result<[u8; NONCE_LEN], Error> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(|_| KeyError::Random)?;
    Ok(nonce)
}

/// Nonce ‖ ciphertext ‖ tag.
pub(super) fn seal(
    key: &Key,
    nonce: [u8; NONCE_LEN],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, Error> {
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| Error::Crypto)?;
    let mut ciphertext = plaintext.to_vec();
    // `SealingKey` takes its nonces from a sequence; here each is random, and sent along.
    LessSafeKey::new(key)
        .seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            &mut ciphertext,
        )
        .map_err(|_| Error::Crypto)?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

/// Opens nonce ‖ ciphertext ‖ tag. Returns `None` if the key or the additional data do not match.
pub(super) fn open(key: &Key, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).ok()?;
    let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut plaintext = Zeroizing::new(ciphertext.to_vec());
    let length = LessSafeKey::new(key)
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(aad),
            plaintext.as_mut(),
        )
        .ok()?
        .len();
    plaintext.truncate(length);
    Some(plaintext)
}
