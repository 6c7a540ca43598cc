//! A user's stations and credentials.

use parlance_wire::{
    id::{CredentialId, StationId},
    time::Timestamp,
    word::CredentialKind,
};
use serde::Deserialize;

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
