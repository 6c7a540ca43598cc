//! What happened, and who has to hear of it. Events are announced after the commit, never before.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::store::rows::HistoryRow;
use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::Instance,
};

/// Something that stations have to hear of.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A conversation has new content.
    ConversationChanged {
        conversation: ConversationId,
        /// Everyone in it, the author included: the author has other stations.
        participants: Arc<[UserId]>,
        /// The new rows, where they are known.
        new: Option<NewRows>,
    },
    /// A page of a download was cut: the station has to come back for the rest.
    PageCut {
        conversation: ConversationId,
        /// The reader, who alone has to hear of it.
        reader: UserId,
        /// The station that was given the page.
        station: StationId,
    },
    /// Messages were erased.
    Erased {
        conversation: ConversationId,
        /// Everyone in it.
        participants: Vec<UserId>,
        messages: Vec<MessageId>,
    },
    /// A user's list of conversations has changed.
    ListChanged {
        /// The users whose lists have changed.
        of: Vec<UserId>,
    },
    /// Friends should look at a user again: their availability, their friendship.
    FriendChanged {
        /// The user to look at.
        friend: UserId,
        /// The users who should look.
        seen_by: Vec<UserId>,
    },
    /// A user logged in at a station that they had not used before; their others have to hear of it.
    StationAdded {
        /// The user.
        user: UserId,
        /// The new station.
        station: StationId,
    },
    /// Someone is writing a message.
    Typing {
        /// The conversation that it is written in.
        conversation: ConversationId,
        user: UserId,
        /// The other participants.
        others: Vec<UserId>,
    },
}

impl Event {
    /// Whether this station of a recipient's has to hear of it.
    #[must_use]
    pub(crate) fn is_for(&self, one: StationId) -> bool {
        match self {
            Self::PageCut { station, .. } => one == *station,
            Self::StationAdded { station, .. } => one != *station,
            _ => true,
        }
    }

    /// The users whose stations have to hear of it.
    #[must_use]
    pub(crate) fn recipients(&self) -> &[UserId] {
        match self {
            Self::ConversationChanged { participants, .. } => participants,
            Self::Erased { participants, .. } => participants,
            Self::PageCut { reader, .. } => std::slice::from_ref(reader),
            Self::ListChanged { of } => of,
            Self::FriendChanged { seen_by, .. } => seen_by,
            Self::StationAdded { user, .. } => std::slice::from_ref(user),
            Self::Typing { others, .. } => others,
        }
    }
}

/// Rows that one commit added to a conversation, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct NewRows {
    /// The first one's number in the conversation.
    pub first: i64,
    /// The last one's.
    pub last: i64,
    /// All of them, or none, where they are too many or not at hand: then they are downloaded.
    pub rows: Vec<Arc<NewRow>>,
}

/// A row that was just stored, with what a client needs to know whether it holds the one before.
#[derive(Debug)]
pub(crate) struct NewRow {
    /// The instance of the conversation that it belongs to.
    pub instance: Instance,
    /// Its number in the conversation.
    pub seq: i64,
    /// The id of the row of the same kind before it, as the wire writes it; empty if it is the first.
    pub after: String,
    pub row: HistoryRow,
    /// How v4 clients are shown it.
    pub rendered: Rendered,
}

/// A row as text. It is written once, whoever needs it first: all sockets and the cached page show the same.
#[derive(Debug, Default)]
pub(crate) struct Rendered {
    row: OnceLock<Box<RawValue>>,
    frame: OnceLock<Bytes>,
}

impl Rendered {
    /// The row as JSON.
    pub(crate) fn row<E>(
        &self,
        render: impl FnOnce() -> Result<Box<RawValue>, E>,
    ) -> Result<&RawValue, E> {
        once(&self.row, render).map(|row| &**row)
    }

    /// The frame of a socket to which this row is all that is new.
    pub(crate) fn frame<E>(&self, render: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        once(&self.frame, render).cloned()
    }
}

// `OnceLock::get_or_try_init` is not stable yet. Two that come first at once both make the value, and one is kept.
fn once<T, E>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

impl NewRow {
    /// About how many bytes it takes on the wire.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let data = match &self.row {
            HistoryRow::Message(row) => row.data.len(),
            HistoryRow::Report(_) => 0,
        };
        data + 400
    }
}
