//! Friends and blocks.

use parlance_wire::id::{ConversationId, UserId};
use serde::Deserialize;

/// The caller's friends.
#[derive(Debug, Clone, Deserialize)]
pub struct Friends {
    /// The friends.
    #[serde(rename = "availabilities")]
    pub friends: Vec<Friend>,
    /// Requests to the caller.
    #[serde(default)]
    pub requests: Vec<FriendRequest>,
}

/// A friend.
#[derive(Debug, Clone, Deserialize)]
pub struct Friend {
    /// Their id.
    pub friendid: UserId,
    /// Their short name.
    pub friendname: String,
    /// Their public key: base64 of the DER SubjectPublicKeyInfo.
    pub publickey: String,
    /// `available`, `away`, `busy` or `offline`.
    pub availability: String,
}

/// A friend request.
#[derive(Debug, Clone, Deserialize)]
pub struct FriendRequest {
    /// Their id.
    pub friendid: UserId,
    /// Their short name.
    pub friendname: String,
}

/// Users and conversations that the caller does not want to see.
#[derive(Debug, Clone, Deserialize)]
pub struct Blocklist {
    /// The users whom the caller blocked.
    pub blockedusers: Vec<UserId>,
    /// The conversations that the caller has hidden.
    pub blockedconversations: Vec<ConversationId>,
}
