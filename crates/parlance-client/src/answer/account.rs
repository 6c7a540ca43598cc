//! The answers of calls about the user's own account.

use parlance_wire::{
    id::{CredentialId, InviteId, ServerId, StationId, UserId},
    kdf::Kdf,
    text::EncryptedKey,
    time::Timestamp,
    word::CredentialKind,
};
use serde::Deserialize;

/// A new invitation.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NewInvite {
    /// Its id, for revoking it.
    pub inviteid: InviteId,
    /// Its code. The server does not show it again.
    pub invite: String,
    /// The link that a web client opens.
    pub link: String,
    /// When it expires.
    pub expires: Timestamp,
}

/// A user's names.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Profile {
    /// Their full name.
    pub fullname: String,
    /// The short name that others see.
    pub nick: String,
}

/// The caller's invitations, newest first.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Invites {
    /// At most 100.
    pub invites: Vec<Invite>,
}

/// An invitation of the caller's.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Invite {
    /// Its id, for revoking it. The code is shown only once, at creation.
    pub inviteid: InviteId,
    /// The only address that may register with it; empty if any may.
    pub email: String,
    /// How many people may register with it.
    pub uses: u32,
    /// The users who have registered with it.
    pub usedby: Vec<UserId>,
    /// When it was created.
    pub created: Timestamp,
    /// When it expires.
    pub expires: Timestamp,
    /// Whether somebody can still register with it.
    pub open: bool,
}

/// How a password is turned into a key, and for which server.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Prelogin {
    /// The server's id.
    pub server: ServerId,
    /// The function and its parameters.
    #[serde(flatten)]
    pub kdf: Kdf,
}

/// A user's vault, as stored by the server.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Vault {
    /// The vault, or a private key of the published form.
    pub rsakey: EncryptedKey,
    /// Its version; 0 until it is changed after the registration.
    pub version: u32,
    /// How the password that opens it is turned into keys.
    pub kdf: Kdf,
}

/// The answer to [`Session::stations`](crate::Session::stations).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Stations {
    /// The one that was seen last comes first.
    pub stations: Vec<StationInfo>,
}

/// The answer to [`Session::push`](crate::Session::push).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Push {
    /// The key by which push services know the server; empty if it does not send pushes.
    pub pushkey: String,
    /// The station's push endpoint; empty if push is not enabled for it.
    pub endpoint: String,
}

/// One of the user's stations.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StationInfo {
    /// Its id, for signing it out.
    pub stationid: StationId,
    /// The name that its user gave it; empty if there is none.
    pub name: String,
    /// Whether it is the station that sent the request.
    pub current: bool,
    /// When it first logged in, if that is known.
    pub created: Option<Timestamp>,
    /// When it was last seen, to the hour.
    pub lastseen: Timestamp,
    /// The name of the credential of its last login, if that credential still exists.
    pub key: Option<String>,
}

/// The answer to [`Session::sign_out`](crate::Session::sign_out).
#[derive(Debug, Clone, Copy, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SignedOut {
    /// Number of stations that were ended.
    pub signedout: u64,
}

/// The answer to [`Session::credentials`](crate::Session::credentials).
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Keys {
    /// Oldest first.
    pub keys: Vec<CredentialInfo>,
}

/// A credential that opens the user's login.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CredentialInfo {
    /// Its id, for [`Session::revoke`](crate::Session::revoke).
    pub keyid: CredentialId,
    /// Its origin: the password, the recovery key, or random bytes.
    pub kind: CredentialKind,
    /// The name that its creator gave it.
    pub label: String,
    /// When it was created.
    pub created: Timestamp,
    /// The last login with it, to the hour.
    pub lastused: Option<Timestamp>,
}

/// A server's limits (docs/api.md, chatlogin).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limits {
    /// Bytes of a message's `Data`.
    pub messagebytes: usize,
    /// Bytes of a request.
    pub bodybytes: usize,
    /// Bytes of `rsakey`.
    pub rsakeybytes: usize,
    /// Bytes of a socket's frame.
    pub framebytes: usize,
    /// Participants of a group.
    pub participants: usize,
    /// Conversations that a user takes part in.
    pub conversations: u32,
    /// Conversations that a user creates in a day.
    pub newconversations: u32,
    /// Stations of a user.
    pub stations: u32,
    /// Open sockets of a user.
    pub sockets: usize,
    /// Requests of a user in progress.
    pub requests: usize,
    /// Ids of one report.
    pub messageids: usize,
    /// Ids of one `erase`.
    pub erasedids: usize,
    /// Bytes of a file, encrypted, without the 16 bytes that this adds to each record; 0 if the
    /// server has no files.
    #[serde(default)]
    pub file: u64,
    /// Bytes of all files of a user; 0 if the server has no files.
    #[serde(default)]
    pub filequota: u64,
    /// Bytes that this user's files use of `filequota`.
    #[serde(default)]
    pub fileused: u64,
    /// Bytes of files that a user may upload in an hour; 0 if the server does not report it.
    #[serde(default)]
    pub filebytes: u64,
    /// Seconds by which a client's clock may be wrong.
    pub clockdifference: i64,
    /// Seconds until a message without a `ValidUntil` expires.
    pub messagelifetime: i64,
    /// Seconds for which an expired message is kept.
    pub expirygrace: i64,
}
