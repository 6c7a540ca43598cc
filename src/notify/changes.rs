//! The changes that a station has not been notified of, each once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::event::{Event, NewRow};
use parlance_wire::id::{ConversationId, MessageId, StationId, UserId};
use parlance_wire::version::ClientVersion;

/// Changes of more ids than this are replaced by a resync.
// With that many, a client has to go through its whole list anyway.
const MAX_IDS: usize = 10_000;
/// Maximum bytes of rows buffered for a v4 socket that is busy. Beyond it only ids are sent.
const MAX_ROW_BYTES: usize = 32 * 1024;

/// What changed since a station was last notified: ids, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// Conversations with new content.
    pub conversations: BTreeSet<ConversationId>,
    /// The user's list changed.
    pub list: bool,
    /// The station has to resync, as something may have been missed. On the wire this is a changed list.
    pub resync: bool,
    /// Friends to look at again.
    pub friends: BTreeSet<UserId>,
    /// New rows, whole, in the order of commits; for v4 sockets. Of a conversation they are all that was added since
    /// the frame before, or there are none: whoever appends them has everything.
    pub rows: BTreeMap<(ConversationId, i64), Arc<NewRow>>,
    /// Who is writing a message, and in which conversation; for v4 sockets.
    pub typing: BTreeSet<(ConversationId, UserId)>,
    /// Messages that were erased; for v4 sockets. Their conversations are among those that changed.
    pub erased: BTreeSet<(ConversationId, MessageId)>,
    /// Stations that the user logged in from for the first time; for v4 stations.
    pub stations: BTreeSet<StationId>,
    row_bytes: usize,
    /// Conversations of which only the id is sent: a row is not at hand, does not follow the others, or has no room.
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

    /// Everything may have changed.
    #[must_use]
    pub(crate) fn resync() -> Self {
        Self {
            resync: true,
            ..Self::default()
        }
    }

    /// Adds what happened. `rows` are the new rows of a conversation, if they follow what was announced of it
    /// before, and else none.
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
                // One of the rows may be an erased one.
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

    /// Adds changes that were sent and may not have arrived; of conversations only their ids.
    pub(crate) fn add_again(&mut self, sent: Self) {
        for conversation in sent.conversations {
            self.conversations.insert(conversation);
            self.drop_rows(conversation);
        }
        self.friends.extend(sent.friends);
        self.stations.extend(sent.stations);
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
            ..
        } = self;
        Self {
            conversations: conversations.clone(),
            list: *list,
            resync: *resync,
            friends: friends.clone(),
            stations: stations.clone(),
            ..Self::default()
        }
    }

    /// Drops the rows, and typing, of what changed so far.
    // Rows that follow later would leave a gap: their conversations stay without rows until the changes are taken.
    pub(crate) fn keep_ids(&mut self) {
        self.ids_only.clone_from(&self.conversations);
        self.rows.clear();
        self.row_bytes = 0;
        self.typing.clear();
    }

    /// Everything may have changed: what was known of conversations is part of that.
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
        if ids > MAX_IDS {
            *self = Self::resync();
        }
    }

    fn add_rows(&mut self, conversation: ConversationId, rows: &[Arc<NewRow>]) {
        let bytes: usize = rows.iter().map(|row| row.bytes()).sum();
        // Beside a resync they may follow on what was dropped with it.
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
