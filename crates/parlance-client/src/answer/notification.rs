//! The answers of polls, and the frames of sockets.

use parlance_wire::{
    id::{ConversationId, MessageId, Receipt, StationId, UserId},
    text::Instance,
};
use serde::Deserialize;

use super::{Message, Report};

/// A notification object: the answer to a poll, or a frame of a socket.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Notification {
    /// Friends whose availability changed.
    // Misspelled as published.
    #[serde(rename = "friendavailabilitesof")]
    pub friends: Vec<UserId>,
    /// Conversations with new rows.
    #[serde(rename = "conversationchangedof")]
    pub conversations: Vec<ConversationId>,
    /// If not empty, resync: the list changed, or the server no longer knows what changed.
    #[serde(rename = "conversationlistchangedof")]
    pub list: Vec<UserId>,
    /// Whole new rows; only from a socket.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Users who are typing; only from a socket.
    #[serde(default)]
    pub typing: Vec<Typing>,
    /// Messages that were erased.
    #[serde(default)]
    pub erased: Vec<Erased>,
    /// Stations from which the user logged in for the first time.
    #[serde(rename = "newstations", default)]
    pub new_stations: Vec<StationId>,
    /// The receipt that confirms this answer in the next poll; only from a poll.
    #[serde(default)]
    pub receipt: Option<Receipt>,
}

impl Notification {
    /// Returns `true` if the client has to resync: read [`Session::list`](crate::Session::list),
    /// [`friends`](crate::Session::friends), [`invitations`](crate::Session::invitations),
    /// [`stations`](crate::Session::stations), and the rows of each conversation whose newest ids
    /// it does not hold.
    #[must_use]
    pub fn wants_resync(&self) -> bool {
        !self.list.is_empty()
    }
}

/// A row as it was committed.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// The conversation.
    pub conversationid: ConversationId,
    /// Its instance. If it has changed, the conversation was cleared.
    pub instance: Instance,
    /// The row, if it is a message.
    #[serde(default)]
    pub message: Option<Message>,
    /// The row, if it is a report.
    #[serde(default)]
    pub report: Option<Report>,
    /// The id of the preceding row of this kind, or empty.
    pub after: String,
}

/// The messages that were erased in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Erased {
    /// The conversation.
    pub conversationid: ConversationId,
    /// The erased messages.
    pub messageids: Vec<MessageId>,
}

/// A user is writing a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Typing {
    /// The conversation.
    pub conversationid: ConversationId,
    /// The user who writes.
    pub userid: UserId,
}
