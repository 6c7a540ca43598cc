//! Derives keys from a password, slowly: argon2id (RFC 9106).

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::{Error, Root};

/// How to hash a password, as `prelogin` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kdf")]
pub enum Kdf {
    /// An account with a vault.
    #[serde(rename = "argon2id")]
    Argon2id {
        /// KiB of memory.
        m: u32,
        /// How often the memory is passed over.
        t: u32,
        /// How many parts of it can be filled at the same time.
        p: u32,
        /// The salt, 16 bytes in hex.
        salt: String,
    },
    /// An account of the published form: [`crate::keys::apikey`].
    #[serde(rename = "pbkdf2-sha256")]
    Pbkdf2,
}

/// KiB of memory: 64 MiB.
const MEMORY: u32 = 65_536;
const PASSES: u32 = 3;
const LANES: u32 = 1;

impl Kdf {
    /// The parameters of new accounts.
    #[must_use]
    pub fn new(salt: &[u8; 16]) -> Self {
        Self::Argon2id {
            m: MEMORY,
            t: PASSES,
            p: LANES,
            salt: hex::encode(salt),
        }
    }
}

impl Root {
    /// Hashes a password with the parameters from `prelogin`. Takes at least a quarter of a second,
    /// and 64 MiB. Parameters weaker than the documented ones are refused, as a cheap hash would
    /// reveal the password; so are those that are too expensive for a client.
    ///
    /// # Errors
    /// `Malformed`: another function, a cheaper or far more expensive one, or no salt.
    pub fn of_password(password: &str, kdf: &Kdf) -> Result<Self, Error> {
        let Kdf::Argon2id { m, t, p, salt } = kdf else {
            return Err(Error::Malformed("the account has no vault"));
        };
        let mut salt_bytes = [0; 16];
        hex::decode_to_slice(salt, &mut salt_bytes).map_err(|_| Error::Malformed("the salt"))?;
        let is_fair = (MEMORY..=16 * MEMORY).contains(m)
            && (PASSES..=16 * PASSES).contains(t)
            && (LANES..=16).contains(p);
        if !is_fair {
            return Err(Error::Malformed("the cost of the password's hash"));
        }
        let params = Params::new(*m, *t, *p, Some(32)).map_err(|_| Error::Crypto)?;
        // Keyboards write the same password in different ways.
        let password: Zeroizing<String> = Zeroizing::new(password.nfkc().collect());
        let mut root = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &salt_bytes, root.as_mut())
            .map_err(|_| Error::Crypto)?;
        Ok(Self::from_bytes(&root))
    }
}
