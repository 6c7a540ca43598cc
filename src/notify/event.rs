//! Events: changes, and the users who are notified of them. Announced after the commit, never
//! before.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::store::rows::HistoryRow;
use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::Instance,
};

/// A change that stations are notified of.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A conversation has new content.
    ConversationChanged {
        conversation: ConversationId,
        /// All participants including the author, who may have other stations.
        participants: Arc<[UserId]>,
        /// The new rows, if they are known.
        new: Option<NewRows>,
    },
    /// A page of a download was cut, and the station has to come back for the rest.
    PageCut {
        conversation: ConversationId,
        /// The reader. Nobody else is notified.
        reader: UserId,
        /// The station that got the page.
        station: StationId,
    },
    /// Messages were erased.
    Erased {
        conversation: ConversationId,
        /// The participants who are notified.
        participants: Vec<UserId>,
        messages: Vec<MessageId>,
        /// The number of the conversation's newest row at that moment: up to it a row may be one of them.
        last_seq: i64,
    },
    /// A user's list of conversations has changed.
    ListChanged {
        /// The users whose lists have changed.
        of: Vec<UserId>,
    },
    /// A user's availability or friendship has changed for others.
    FriendChanged {
        /// The user who changed.
        friend: UserId,
        /// The users who see the change.
        seen_by: Vec<UserId>,
    },
    /// A user logged in from a new station. Their other stations are notified.
    StationAdded {
        user: UserId,
        /// The new station.
        station: StationId,
    },
    /// A user is writing a message.
    Typing {
        /// The conversation that it is written in.
        conversation: ConversationId,
        user: UserId,
        /// The other participants.
        others: Vec<UserId>,
    },
}

impl Event {
    /// Returns `true` if this station of a recipient is notified.
    #[must_use]
    pub(crate) fn is_for(&self, one: StationId) -> bool {
        match self {
            Self::PageCut { station, .. } => one == *station,
            Self::StationAdded { station, .. } => one != *station,
            _ => true,
        }
    }

    /// The users whose stations are notified.
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

/// Consecutive rows that one commit added to a conversation.
#[derive(Debug, Clone)]
pub(crate) struct NewRows {
    /// The `seq` of the first row.
    pub first: i64,
    /// The `seq` of the last row.
    pub last: i64,
    /// All of the rows; none, if they are too many or unknown here, and then have to be downloaded.
    pub rows: Vec<Arc<NewRow>>,
}

/// A row that was just stored, as it is announced: with its text on the wire, and with what a
/// client needs to know that it has the preceding row.
#[derive(Debug)]
pub(crate) struct NewRow {
    /// The instance of the conversation that it belongs to.
    pub instance: Instance,
    /// Its `seq` in the conversation.
    pub seq: i64,
    /// The id of the preceding row of the same kind, as on the wire; empty if this is the first.
    pub after: String,
    pub row: HistoryRow,
    /// The row as v4 clients see it.
    pub rendered: Rendered,
}

/// A row as text, rendered when it is first needed, and shared by all sockets and the cached page.
#[derive(Debug)]
pub(crate) struct Rendered {
    row: OnceLock<Box<RawValue>>,
    frame: OnceLock<Bytes>,
    /// When the row was known to be committed.
    committed_at: Instant,
    /// Whether it was pushed to a socket of this node.
    is_pushed: AtomicBool,
}

impl Default for Rendered {
    /// Of a row that was just committed.
    fn default() -> Self {
        Self {
            row: OnceLock::new(),
            frame: OnceLock::new(),
            committed_at: Instant::now(),
            is_pushed: AtomicBool::new(false),
        }
    }
}

impl Rendered {
    /// Notes that a socket gets the row. Returns how long that took since the commit, for the first
    /// socket alone: a group of thousands is one event for the metrics.
    pub(crate) fn first_push(&self) -> Option<Duration> {
        // Looked at before it is set, so that thousands of sockets only read it.
        let is_first = !self.is_pushed.load(Ordering::Relaxed)
            && !self.is_pushed.swap(true, Ordering::Relaxed);
        is_first.then(|| self.committed_at.elapsed())
    }

    /// The row as JSON.
    pub(crate) fn row<E>(
        &self,
        render: impl FnOnce() -> Result<Box<RawValue>, E>,
    ) -> Result<&RawValue, E> {
        once(&self.row, render).map(|row| &**row)
    }

    /// The frame of a socket for which this row is the only change.
    pub(crate) fn frame<E>(&self, render: impl FnOnce() -> Result<Bytes, E>) -> Result<Bytes, E> {
        once(&self.frame, render).cloned()
    }
}

// `OnceLock::get_or_try_init` is not stable yet. Two threads may both compute the value, and one
// result is kept: a lock held during the work would make each socket wait.
fn once<T, E>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

impl NewRow {
    /// Its approximate size on the wire.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let data = match &self.row {
            HistoryRow::Message(row) => row.data.len(),
            HistoryRow::Report(_) => 0,
        };
        // The other fields and their names, rounded up: the sum only bounds memory.
        data + 400
    }
}
