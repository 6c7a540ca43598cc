//! Friends and blocks.

use parlance_wire::{
    id::{ConversationId, UserId},
    word::{Availability, ChosenAvailability},
};
use serde::Deserialize;

/// The caller's friends.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Friends {
    /// The friends, to whom the caller may write.
    #[serde(rename = "availabilities")]
    pub friends: Vec<Friend>,
    /// Requests to the caller.
    #[serde(default)]
    pub requests: Vec<FriendRequest>,
    /// Friends who have deleted their accounts, until the caller removes them.
    #[serde(default)]
    pub left: Vec<FriendWhoLeft>,
    /// What the caller chose to be shown as. `None` from a server that does not keep it.
    #[serde(default)]
    pub chosen: Option<ChosenAvailability>,
}

/// A friend who has deleted their account. A later account with this id belongs to somebody else.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FriendWhoLeft {
    /// Their id.
    pub friendid: UserId,
    /// The nick that they had.
    pub friendname: String,
}

/// A friend.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Friend {
    /// Their id.
    pub friendid: UserId,
    /// Their short name.
    pub friendname: String,
    /// Their public key: base64 of the DER SubjectPublicKeyInfo.
    pub publickey: String,
    /// Their availability, or `Offline` if they have blocked the user.
    pub availability: Availability,
    /// Whether another user's nick looks like theirs, so that their id should be shown beside it.
    #[serde(default)]
    pub alike: bool,
}

/// A friend request.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FriendRequest {
    /// Their id.
    pub friendid: UserId,
    /// Their short name.
    pub friendname: String,
    /// Whether another user's nick looks like theirs, so that their id should be shown beside it.
    #[serde(default)]
    pub alike: bool,
}

/// Users and conversations that the caller does not want to see.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Blocklist {
    /// The users whom the caller blocked.
    pub blockedusers: Vec<UserId>,
    /// The conversations that the caller has hidden.
    pub blockedconversations: Vec<ConversationId>,
}
