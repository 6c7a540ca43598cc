//! Events, each announced after its commit and never before, and the changes that they add up to for
//! a station which was not yet notified of them.
//!
//! A client appends new rows to those that it has, so a row is only among the changes if it follows
//! on them: on the rows of its conversation that were announced before (`registry`), and on those
//! that this station was sent ([`Changes`]). It may not, because each request and each node
//! announces its own rows, and a row may be announced before one that was committed earlier.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};

use crate::store::rows::HistoryRow;
use parlance_wire::{
    id::{ConversationId, MessageId, StationId, UserId},
    text::Instance,
    version::ClientVersion,
};

/// Maximum ids in a station's changes. Beyond it, they are replaced by a resync.
// With that many, a client has to go through its whole list anyway.
const MAX_IDS: usize = 10_000;
/// Maximum bytes of rows buffered for a v4 socket that is busy. Beyond it only ids are sent.
const MAX_ROW_BYTES: usize = 32 * 1024;

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
    /// The row as JSON, as v4 clients see it.
    // Once for all sockets and the cached page: otherwise each member of a large group would cost
    // another rendering.
    pub(crate) fn json(&self) -> serde_json::Result<&RawValue> {
        let render = || match &self.row {
            HistoryRow::Message(row) => to_raw_value(&row.view(ClientVersion::V4)),
            HistoryRow::Report(row) => to_raw_value(&row.view()),
        };
        once(&self.rendered.row, render).map(|row| &**row)
    }

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

/// The changes since a station was last notified: ids, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// Conversations with new content.
    pub conversations: BTreeSet<ConversationId>,
    /// Whether the user's list changed.
    pub list: bool,
    /// Whether the station has to resync, as something may have been missed. On the wire, this is a
    /// changed list.
    pub resync: bool,
    /// Friends whose entries have to be fetched again.
    pub friends: BTreeSet<UserId>,
    /// New rows in commit order, for v4 sockets. For each conversation they are either everything
    /// that was added since the previous frame, or absent: a client that appends them misses
    /// nothing.
    pub rows: BTreeMap<(ConversationId, i64), Arc<NewRow>>,
    /// Users who are writing a message, and in which conversation; for v4 sockets.
    pub typing: BTreeSet<(ConversationId, UserId)>,
    /// Messages that were erased; for v4 stations. Their conversations are also among the changed
    /// ones.
    pub erased: BTreeSet<(ConversationId, MessageId)>,
    /// Stations from which the user logged in for the first time; for v4 stations.
    pub stations: BTreeSet<StationId>,
    row_bytes: usize,
    /// Conversations of which only the id is sent, because a row is unknown here, does not follow,
    /// or has no room.
    ids_only: BTreeSet<ConversationId>,
}

impl Changes {
    /// Returns `true` if nothing changed.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.conversations.is_empty()
            && !self.list
            && !self.resync
            && self.friends.is_empty()
            && self.stations.is_empty()
            && self.erased.is_empty()
            && self.typing.is_empty()
    }

    /// The new row, if nothing else changed.
    #[must_use]
    pub(crate) fn single_row(&self) -> Option<&NewRow> {
        let is_single = self.rows.len() == 1
            && self.conversations.len() == 1
            && !self.list
            && !self.resync
            && self.friends.is_empty()
            && self.erased.is_empty()
            && self.stations.is_empty()
            && self.typing.is_empty();
        self.rows
            .values()
            .next()
            .filter(|_| is_single)
            .map(|row| &**row)
    }

    /// Changes that stand for everything.
    #[must_use]
    pub(crate) fn resync() -> Self {
        Self {
            resync: true,
            ..Self::default()
        }
    }

    /// Adds an event. `rows` are a conversation's new rows, if they follow what was announced of it
    /// before; otherwise there are none.
    pub(crate) fn add(&mut self, event: &Event, rows: &[Arc<NewRow>], version: ClientVersion) {
        match event {
            Event::ConversationChanged { conversation, .. }
            | Event::PageCut { conversation, .. } => {
                self.conversations.insert(*conversation);
                if version.is_v4() {
                    self.add_rows(*conversation, rows);
                }
            }
            Event::Erased {
                conversation,
                messages,
                ..
            } => {
                self.conversations.insert(*conversation);
                // The pending rows may include an erased one.
                self.drop_rows(*conversation);
                if version.is_v4() {
                    self.erased
                        .extend(messages.iter().map(|message| (*conversation, *message)));
                }
            }
            Event::ListChanged { .. } => self.list = true,
            Event::FriendChanged { friend, .. } => {
                self.friends.insert(*friend);
            }
            Event::StationAdded { station, .. } => {
                self.stations.insert(*station);
            }
            Event::Typing {
                conversation, user, ..
            } if version.is_v4() => {
                self.typing.insert((*conversation, *user));
            }
            Event::Typing { .. } => {}
        }
        self.bound();
    }

    /// Adds changes that were sent and may not have arrived; for conversations, only their ids.
    pub(crate) fn add_again(&mut self, sent: Self) {
        // Their rows were not kept, so later ones would leave a gap. Typing is outdated by now.
        for conversation in sent.conversations {
            self.conversations.insert(conversation);
            self.drop_rows(conversation);
        }
        self.friends.extend(sent.friends);
        self.stations.extend(sent.stations);
        self.erased.extend(sent.erased);
        self.list |= sent.list;
        self.resync |= sent.resync;
        self.bound();
    }

    /// The ids alone, as a poll gets them.
    #[must_use]
    pub(crate) fn ids(&self) -> Self {
        let Self {
            conversations,
            list,
            resync,
            friends,
            stations,
            erased,
            ..
        } = self;
        Self {
            erased: erased.clone(),
            conversations: conversations.clone(),
            list: *list,
            resync: *resync,
            friends: friends.clone(),
            stations: stations.clone(),
            ..Self::default()
        }
    }

    /// Drops the rows, and typing, of the changes so far.
    // Later rows would leave a gap: these conversations stay without rows until the changes are
    // taken.
    pub(crate) fn keep_ids(&mut self) {
        self.ids_only.clone_from(&self.conversations);
        self.rows.clear();
        self.row_bytes = 0;
        self.typing.clear();
    }

    /// Replaces all changes by a resync, which includes them.
    pub(crate) fn become_resync(&mut self) {
        let friends = std::mem::take(&mut self.friends);
        let stations = std::mem::take(&mut self.stations);
        *self = Self {
            friends,
            stations,
            ..Self::resync()
        };
    }

    fn bound(&mut self) {
        let ids = self.conversations.len()
            + self.friends.len()
            + self.erased.len()
            + self.stations.len()
            + self.typing.len();
        // Not truncated, because the station would never learn of the omitted ids.
        if ids > MAX_IDS {
            *self = Self::resync();
        }
    }

    fn add_rows(&mut self, conversation: ConversationId, rows: &[Arc<NewRow>]) {
        let bytes: usize = rows.iter().map(|row| row.bytes()).sum();
        // Beside a resync, the preceding rows may have been dropped, so these would leave a gap.
        if rows.is_empty() || self.resync || self.row_bytes + bytes > MAX_ROW_BYTES {
            self.drop_rows(conversation);
        } else if !self.ids_only.contains(&conversation) {
            self.row_bytes += bytes;
            self.rows.extend(
                rows.iter()
                    .map(|row| ((conversation, row.seq), row.clone())),
            );
        }
    }

    fn drop_rows(&mut self, conversation: ConversationId) {
        if self.ids_only.insert(conversation) {
            for (_, row) in self.rows.extract_if(
                (conversation, i64::MIN)..=(conversation, i64::MAX),
                |_, _| true,
            ) {
                self.row_bytes -= row.bytes();
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
