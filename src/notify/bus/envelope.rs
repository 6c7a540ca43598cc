//! Envelopes: the messages that nodes publish on the bus. They contain hints, which are ids of what
//! changed, never content.

use parlance_wire::id::{ConversationId, MessageId, StationId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::notify::event::{Event, NewRows};

/// One message on the bus.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    pub(super) node: Uuid,
    /// Number of envelopes with hints that this node has published, including this one.
    // The field names must stay: nodes of two versions share a bus during an upgrade.
    #[serde(rename = "number")]
    pub(super) sequence: u64,
    /// Empty if this only repeats the sequence number.
    pub(super) hints: Vec<Hint>,
}

/// A change, by ids.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Hint {
    Conversation {
        id: ConversationId,
        of: Vec<UserId>,
        /// The `seq` of the first and of the last new row.
        new: Option<(i64, i64)>,
    },
    PageCut {
        id: ConversationId,
        user: UserId,
        station: StationId,
    },
    Erased {
        id: ConversationId,
        of: Vec<UserId>,
        messages: Vec<MessageId>,
        last: i64,
    },
    List {
        of: Vec<UserId>,
    },
    Friend {
        id: UserId,
        of: Vec<UserId>,
    },
    Station {
        id: StationId,
        user: UserId,
    },
    Typing {
        id: ConversationId,
        user: UserId,
        of: Vec<UserId>,
    },
}

impl From<&Event> for Hint {
    fn from(event: &Event) -> Self {
        match event {
            Event::ConversationChanged {
                conversation,
                participants,
                new,
            } => Self::Conversation {
                id: *conversation,
                of: participants.to_vec(),
                new: new.as_ref().map(|new| (new.first, new.last)),
            },
            Event::PageCut {
                conversation,
                reader,
                station,
            } => Self::PageCut {
                id: *conversation,
                user: *reader,
                station: *station,
            },
            Event::Erased {
                conversation,
                participants,
                messages,
                last_seq,
            } => Self::Erased {
                id: *conversation,
                of: participants.clone(),
                messages: messages.clone(),
                last: *last_seq,
            },
            Event::ListChanged { of } => Self::List { of: of.clone() },
            Event::FriendChanged { friend, seen_by } => Self::Friend {
                id: *friend,
                of: seen_by.clone(),
            },
            Event::StationAdded { user, station } => Self::Station {
                id: *station,
                user: *user,
            },
            Event::Typing {
                conversation,
                user,
                others,
            } => Self::Typing {
                id: *conversation,
                user: *user,
                of: others.clone(),
            },
        }
    }
}

impl From<Hint> for Event {
    fn from(hint: Hint) -> Self {
        match hint {
            Hint::Conversation { id, of, new } => {
                // Without rows: this node's sockets only name the conversation, and their clients
                // download what they may read.
                let new = new.map(|(first, last)| NewRows {
                    first,
                    last,
                    rows: vec![],
                });
                Self::ConversationChanged {
                    conversation: id,
                    participants: of.into(),
                    new,
                }
            }
            Hint::PageCut { id, user, station } => Self::PageCut {
                conversation: id,
                reader: user,
                station,
            },
            Hint::Erased {
                id,
                of,
                messages,
                last,
            } => Self::Erased {
                conversation: id,
                participants: of,
                messages,
                last_seq: last,
            },
            Hint::List { of } => Self::ListChanged { of },
            Hint::Friend { id, of } => Self::FriendChanged {
                friend: id,
                seen_by: of,
            },
            Hint::Station { id, user } => Self::StationAdded { user, station: id },
            Hint::Typing { id, user, of } => Self::Typing {
                conversation: id,
                user,
                others: of,
            },
        }
    }
}
