//! `srv=chatserver&api=chatlogin`, signed: what users do with their own account, their stations, credentials and keys, and
//! whom they invite to the server. All of it is version 4's.
//!
//! Generic over what it holds of a secret, as [`login`](super::login) is.

use serde::{Deserialize, Serialize};

use super::{PageSize, field::given};
use crate::{
    e2ee::SignedCard,
    id::{CredentialId, InviteId, StationId, UserId},
    kdf::{Kdf, Whole},
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
    time::Timestamp,
};

/// Maximum people who register with one invitation of a user's.
pub const MAX_INVITE_USES: usize = 100;

/// The version of a vault. It only grows.
pub type VaultVersion = Whole<1, { i32::MAX as u32 }>;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// Makes an invitation to register. Those who use it become friends of the caller.
    Invite {
        /// The one address that may register with it.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        email: Option<Email>,
        /// How many people may register with it; 1 if it is not given.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        uses: PageSize<MAX_INVITE_USES>,
        /// Until when; a week if it is not given.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        expires: Option<Timestamp>,
    },
    /// The caller's newest invitations.
    Invites,
    /// Ends an invitation of the caller's.
    RevokeInvite {
        /// Its id, not its code.
        inviteid: InviteId,
    },
    /// Changes how the user is called. What is not given stays.
    Profile {
        /// Their full name.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        fullname: Option<FullName>,
        /// The short name that others see.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        nick: Option<Nick>,
    },
    /// Everything that the server has of the user, in one answer.
    Export,
    /// Deletes the user's account, for good.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    Delete {
        /// One of the user's apikeys: a station that was left open is not enough.
        apikey: Secret,
    },
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
    /// The vault as it is now, and how the password that opens it is hashed.
    Vault,
    /// Replaces the vault alone.
    ChangeVault {
        /// The vault from now on.
        rsakey: EncryptedKey,
        /// Its version: more than the present one.
        version: VaultVersion,
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
    /// The key that the user will log in with.
    pub apikey: Secret,
    /// How it is made from the password; absent, as published.
    #[serde(default)]
    pub kdf: Kdf,
    /// The vault that the new password opens.
    pub rsakey: EncryptedKey,
    /// Its version: more than the present one.
    pub version: VaultVersion,
    /// A new recovery key, in the same commit: after a recovery the old one must not be of use any more.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub recoverykey: Option<Secret>,
    /// The account's first card, or its next one, in the same commit: an account of the published form has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SignedCard>,
    /// Ends all other stations, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub signout: bool,
}

/// The fields of `changerecovery`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct ChangeRecovery<Secret = SecretHash> {
    /// The key that logs the user in where the password is lost.
    pub recoverykey: Secret,
    /// The vault that the new recovery key opens.
    pub rsakey: EncryptedKey,
    /// Its version: more than the present one.
    pub version: VaultVersion,
}

/// The fields of `changekeys`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangeKeys {
    /// The key that the user's signatures are checked with from now on.
    pub publickey: PublicKey,
    /// The new key's signature over [`proof_text`]: its owner asks for this. Base64.
    pub proof: String,
    /// The card that names the new key; absent, where the user has no card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SignedCard>,
    /// The vault that holds the new key.
    pub rsakey: EncryptedKey,
    /// Its version: more than the present one.
    pub version: VaultVersion,
}

/// The text that the new key signs in `changekeys`: nobody can take another's public key for their own.
#[must_use]
pub fn proof_text(user: UserId, publickey: &PublicKey) -> Vec<u8> {
    format!("parlance new key 1\n{user}\n{}", publickey.as_str()).into_bytes()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}
