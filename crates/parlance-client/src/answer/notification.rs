//! What polls and sockets tell.

use parlance_wire::{
    id::{ConversationId, MessageId, Receipt, StationId, UserId},
    text::Instance,
};
use serde::Deserialize;

use super::{Message, Report};

/// A notification object: the answer to a poll, or a frame of a socket.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Notification {
    /// Friends whose availability changed.
    #[serde(rename = "friendavailabilitesof")]
    pub friends: Vec<UserId>,
    /// Conversations with new rows.
    #[serde(rename = "conversationchangedof")]
    pub conversations: Vec<ConversationId>,
    /// Not empty: resync. The list changed, or the server cannot tell any more what did.
    #[serde(rename = "conversationlistchangedof")]
    pub list: Vec<UserId>,
    /// What is new, whole; of a socket.
    #[serde(default)]
    pub events: Vec<Event>,
    /// Who is typing; of a socket.
    #[serde(default)]
    pub typing: Vec<Typing>,
    /// Messages that were erased; of a socket.
    #[serde(default)]
    pub erased: Vec<Erased>,
    /// Stations that the user logged in from for the first time.
    #[serde(rename = "newstations", default)]
    pub new_stations: Vec<StationId>,
    /// What the next poll names, to show that this answer arrived; of a poll.
    #[serde(default)]
    pub receipt: Option<Receipt>,
}

impl Notification {
    /// The client has to compare everything: [`Session::list`](crate::Session::list),
    /// [`friends`](crate::Session::friends), [`invitations`](crate::Session::invitations),
    /// [`stations`](crate::Session::stations), and the rows of each conversation whose newest ids it does not hold.
    #[must_use]
    pub fn wants_resync(&self) -> bool {
        !self.list.is_empty()
    }
}

/// A row as it was committed.
#[derive(Debug, Clone, Deserialize)]
pub struct Event {
    /// The conversation.
    pub conversationid: ConversationId,
    /// Its instance.
    pub instance: Instance,
    /// The row, if it is a message.
    #[serde(default)]
    pub message: Option<Message>,
    /// The row, if it is a report.
    #[serde(default)]
    pub report: Option<Report>,
    /// The id of the row of this kind before it, or empty.
    pub after: String,
}

/// Messages of a conversation that were erased.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Erased {
    /// The conversation.
    pub conversationid: ConversationId,
    /// The messages.
    pub messageids: Vec<MessageId>,
}

/// Somebody is writing a message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Typing {
    /// In this conversation.
    pub conversationid: ConversationId,
    /// The one who writes.
    pub userid: UserId,
}
