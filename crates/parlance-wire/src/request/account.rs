//! `srv=chatserver&api=chatlogin`, signed requests: the user's own account, stations, credentials
//! and keys, and invitations to the server. All of them belong to version 4.
//!
//! Generic over the representation of a secret, like [`login`](super::login).

use serde::{Deserialize, Serialize};

use super::{PageSize, field::given};
use crate::{
    e2ee::SignedCard,
    id::{CredentialId, InviteId, StationId, UserId},
    kdf::{Kdf, Whole},
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick, PushEndpoint},
    time::Timestamp,
};

/// Maximum people who register with one invitation of a user's.
// More would be open registration, which is the operator's to decide.
pub const MAX_INVITE_USES: usize = 100;

/// The version of a vault. It only grows.
// Up to what an `integer` of PostgreSQL holds.
pub type VaultVersion = Whole<1, { i32::MAX as u32 }>;

/// The actions of this API.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action<Secret = SecretHash> {
    /// Creates an invitation to register. Those who use it become friends of the caller.
    Invite {
        /// The only address that may register with it.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        email: Option<Email>,
        /// How many people may register with it; 1 if it is not given.
        #[serde(default, skip_serializing_if = "PageSize::is_default")]
        uses: PageSize<MAX_INVITE_USES>,
        /// When it expires; a week from now by default.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        expires: Option<Timestamp>,
    },
    /// Lists the caller's newest invitations.
    Invites,
    /// Revokes an invitation of the caller's.
    RevokeInvite {
        /// Its id, not its code.
        inviteid: InviteId,
    },
    /// Changes the user's names. A name that is not given stays.
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
    /// Returns all data of the user in one answer.
    Export,
    /// Deletes the user's account, for good.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    Delete {
        /// One of the user's apikeys, so that an unattended station is not sufficient.
        apikey: Secret,
    },
    /// Lists the user's stations.
    Stations,
    /// Ends a station, or all but the caller's. Exactly one of the two fields has to be given.
    SignOut {
        /// The station, which may be the caller's own.
        #[serde(
            default,
            deserialize_with = "given",
            skip_serializing_if = "Option::is_none"
        )]
        stationid: Option<StationId>,
        /// Ends all stations but the caller's.
        #[serde(default, skip_serializing_if = "is_false")]
        others: bool,
    },
    /// Returns the server's key for pushes, and this station's push endpoint.
    Push,
    /// Starts Web Push to this station, for messages that arrive while it has no socket open.
    EnablePush {
        /// The URL at which the station's push service accepts pushes for it.
        endpoint: PushEndpoint,
    },
    /// Stops Web Push to this station.
    DisablePush,
    /// Tells the server that the station was woken and is about to fetch. Later messages cause a
    /// push again.
    AckPush,
    /// Lists the credentials that open the user's login, without their secrets.
    Keys,
    /// Deletes an apikey, and ends the stations that logged in with it.
    Revoke {
        /// The credential's id, from `keys`.
        keyid: CredentialId,
    },
    /// Returns the present vault, and how the password that opens it is hashed.
    Vault,
    /// Replaces the vault alone.
    ChangeVault {
        /// The new vault.
        rsakey: EncryptedKey,
        /// Its version, greater than the present one.
        version: VaultVersion,
    },
    /// Replaces the password's credential, and the vault that it opens.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    ChangePassword(Box<ChangePassword<Secret>>),
    /// Replaces the recovery key's credential, and the vault that it opens.
    #[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
    ChangeRecovery(Box<ChangeRecovery<Secret>>),
    /// Replaces the key pair, and the vault that holds it. Ends all other stations, which hold the
    /// old pair.
    ChangeKeys(Box<ChangeKeys>),
}

/// The fields of `changepassword`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct ChangePassword<Secret = SecretHash> {
    /// The user's new login key.
    pub apikey: Secret,
    /// How it is derived from the password; absent for the published way.
    #[serde(default)]
    pub kdf: Kdf,
    /// The vault that the new password opens.
    pub rsakey: EncryptedKey,
    /// Its version, greater than the present one.
    pub version: VaultVersion,
    /// A new recovery key, stored in the same commit, so that the old one does not work any more
    /// after a recovery.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub recoverykey: Option<Secret>,
    /// The account's first or next card, stored in the same commit. Accounts of the published form
    /// have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SignedCard>,
    /// Whether to end all other stations, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub signout: bool,
}

/// The fields of `changerecovery`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound(deserialize = "Secret: Deserialize<'de>"))]
pub struct ChangeRecovery<Secret = SecretHash> {
    /// The key for logging in after the password was lost.
    pub recoverykey: Secret,
    /// The vault that the new recovery key opens.
    pub rsakey: EncryptedKey,
    /// Its version, greater than the present one.
    pub version: VaultVersion,
}

/// The fields of `changekeys`.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeKeys {
    /// The new key, which the user's signatures are verified with.
    pub publickey: PublicKey,
    /// The new key's signature over [`proof_text`], which proves that its owner sends this. Base64.
    pub proof: String,
    /// The card that names the new key; absent if the user has no card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<SignedCard>,
    /// The vault that holds the new key.
    pub rsakey: EncryptedKey,
    /// Its version, greater than the present one.
    pub version: VaultVersion,
}

/// The text that the new key signs in `changekeys`, so that nobody can claim another's public key.
#[must_use]
pub fn proof_text(user: UserId, publickey: &PublicKey) -> Vec<u8> {
    // With the user's id: a proof that was made for another account is of no use.
    format!("parlance new key 1\n{user}\n{}", publickey.as_str()).into_bytes()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}
