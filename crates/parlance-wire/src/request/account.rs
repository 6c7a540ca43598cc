//! `srv=chatserver&api=chatlogin`, the part that is signed: a user's stations, credentials and keys. For v4 clients.
//!
//! Generic over what it holds of a secret, as [`login`](super::login) is.

use serde::{Deserialize, Serialize};

use super::field::given;
use crate::{
    id::{CredentialId, StationId},
    kdf::{Argon2id, Whole},
    key::{PublicKey, SecretHash},
    text::EncryptedKey,
};

/// Which version of the vault it is.
pub type VaultVersion = Whole<1, { i32::MAX }>;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// The user's stations.
    Stations,
    /// Ends a station, or all but the caller's. Exactly one of the two fields is given.
    SignOut {
        /// This station, which may be the caller's own.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        stationid: Option<StationId>,
        /// All stations but the caller's.
        #[serde(default, skip_serializing_if = "is_false")]
        others: bool,
    },
    /// The credentials that open the user's login, without their secrets.
    Keys,
    /// Deletes an apikey, and ends the stations that logged in with it.
    Revoke {
        /// The credential, as `keys` names it.
        keyid: CredentialId,
    },
    /// Replaces the password's credential, and the vault that it opens.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    ChangePassword(Box<ChangePassword<Secret>>),
    /// Replaces the recovery key's credential, and the vault that it opens.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    ChangeRecovery(Box<ChangeRecovery<Secret>>),
    /// Replaces the key pair, and the vault that holds it. All other stations are ended: they hold the old one.
    ChangeKeys(Box<ChangeKeys>),
}

/// The fields of `changepassword`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct ChangePassword<Secret = SecretHash> {
    /// What the user will log in with.
    pub apikey: Secret,
    /// How it is made from the password; absent, as published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kdf: Option<Argon2id>,
    /// The vault that the new password opens.
    pub rsakey: EncryptedKey,
    /// Which version of the vault that is: more than the present one.
    pub version: VaultVersion,
    /// A new recovery key, in the same commit: after a recovery the old one must not be of use any more.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub recoverykey: Option<Secret>,
    /// Ends all other stations, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub signout: bool,
}

/// The fields of `changerecovery`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct ChangeRecovery<Secret = SecretHash> {
    /// What logs the user in where the password is lost.
    pub recoverykey: Secret,
    /// The vault that the new recovery key opens.
    pub rsakey: EncryptedKey,
    /// Which version of the vault that is: more than the present one.
    pub version: VaultVersion,
}

/// The fields of `changekeys`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangeKeys {
    /// What the user's signatures are checked with from now on.
    pub publickey: PublicKey,
    /// The new key's signature over [`proof_text`]: its owner asks for this. Base64.
    pub proof: String,
    /// The vault that holds the new key.
    pub rsakey: EncryptedKey,
    /// Which version of the vault that is: more than the present one.
    pub version: VaultVersion,
}

/// What the new key signs in `changekeys`: nobody can take another's public key for their own.
#[must_use]
pub fn proof_text(user: crate::id::UserId, publickey: &PublicKey) -> Vec<u8> {
    format!("parlance new key 1\n{user}\n{}", publickey.as_str()).into_bytes()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}
