//! What the calls about one's own account answer.

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
pub struct NewInvite {
    /// Its id, for revoking it.
    pub inviteid: InviteId,
    /// Its code. The server does not show it again.
    pub invite: String,
    /// The link that a web client opens.
    pub link: String,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// How the user is called.
#[derive(Debug, Clone, Deserialize)]
pub struct Profile {
    /// Their full name.
    pub fullname: String,
    /// The short name that others see.
    pub nick: String,
}

/// The caller's invitations, the newest first.
#[derive(Debug, Clone, Deserialize)]
pub struct Invites {
    /// At most 100.
    pub invites: Vec<Invite>,
}

/// An invitation of the caller's.
#[derive(Debug, Clone, Deserialize)]
pub struct Invite {
    /// Its id.
    pub inviteid: InviteId,
    /// The one address that it is for; empty for any.
    pub email: String,
    /// How many people it is for.
    pub uses: u32,
    /// Who has registered with it.
    pub usedby: Vec<UserId>,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Somebody can still register with it.
    pub open: bool,
}

/// How a password is made into a key, and for which server.
#[derive(Debug, Clone, Deserialize)]
pub struct Prelogin {
    /// The server's id.
    pub server: ServerId,
    /// The function and its parameters.
    #[serde(flatten)]
    pub kdf: Kdf,
}

/// A user's vault, as the server keeps it.
#[derive(Debug, Clone, Deserialize)]
pub struct Vault {
    /// The vault, or a private key of the published form.
    pub rsakey: EncryptedKey,
    /// Its version; 0 as long as it is what was registered.
    pub version: u32,
    /// How the password that opens it is made into keys.
    pub kdf: Kdf,
}

/// The answer to [`Session::stations`](crate::Session::stations).
#[derive(Debug, Clone, Deserialize)]
pub struct Stations {
    /// The one seen last first.
    pub stations: Vec<StationInfo>,
}

/// A station of the user's.
#[derive(Debug, Clone, Deserialize)]
pub struct StationInfo {
    /// Its id.
    pub stationid: StationId,
    /// What its user calls it, if anything.
    pub name: String,
    /// It is the one that asks.
    pub current: bool,
    /// When it logged in first, if that is known.
    pub created: Option<Timestamp>,
    /// When it was seen last, to the hour.
    pub lastseen: Timestamp,
    /// The name of the credential that it logged in with last, if that is still there.
    pub key: Option<String>,
}

/// The answer to [`Session::sign_out`](crate::Session::sign_out).
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct SignedOut {
    /// How many stations were ended.
    pub signedout: u64,
}

/// The answer to [`Session::credentials`](crate::Session::credentials).
#[derive(Debug, Clone, Deserialize)]
pub struct Keys {
    /// The oldest first.
    pub keys: Vec<CredentialInfo>,
}

/// A credential that opens the user's login.
#[derive(Debug, Clone, Deserialize)]
pub struct CredentialInfo {
    /// Its id, for [`Session::revoke`](crate::Session::revoke).
    pub keyid: CredentialId,
    /// What it is for.
    pub kind: CredentialKind,
    /// Its name.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// The last login with it, to the hour.
    pub lastused: Option<Timestamp>,
}

/// What a server takes at most (docs/api.md, chatlogin).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
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
    /// Conversations of a user.
    pub conversations: u32,
    /// Conversations that a user makes in a day.
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
    /// Seconds that a client's clock may be wrong by.
    pub clockdifference: i64,
    /// Seconds for which a message without a `ValidUntil` is wanted.
    pub messagelifetime: i64,
    /// Seconds for which a message is kept after its end.
    pub expirygrace: i64,
}
