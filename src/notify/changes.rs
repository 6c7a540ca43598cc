//! What a station has to be told: what changed, each thing once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::event::{Event, NewRow};
use parlance_wire::id::{ConversationId, UserId};
use parlance_wire::version::ClientVersion;

/// Changes of more ids than this are replaced by a resync.
// A client that is told of so many does best to compare its list anyway.
const MAX_IDS: usize = 10_000;
/// Maximum bytes of rows kept for a v4 socket that is busy. Beyond it only ids are sent.
const MAX_ROW_BYTES: usize = 32 * 1024;

/// What a station has to be told: ids, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    /// Conversations with new content.
    pub conversations: BTreeSet<ConversationId>,
    /// Whether the user's list changed.
    pub list: bool,
    /// Whether the station has to compare everything, as something may have been missed. The wire says it as `list`.
    pub resync: bool,
    /// Friends to look at again.
    pub friends: BTreeSet<UserId>,
    /// New rows, whole, in the order of commits; for v4 sockets. Of a conversation they are all that was added since
    /// the frame before, or there are none: whoever appends them has everything.
    pub rows: BTreeMap<(ConversationId, i64), Arc<NewRow>>,
    /// Who is writing a message, and in which conversation; for v4 sockets.
    pub typing: BTreeSet<(ConversationId, UserId)>,
    row_bytes: usize,
    /// Conversations of which only the id is told, as something is not at hand, does not join, or has no room.
    ids_only: BTreeSet<ConversationId>,
}

impl Changes {
    /// Whether there is nothing to tell.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.conversations.is_empty()
            && !self.list
            && !self.resync
            && self.friends.is_empty()
            && self.typing.is_empty()
    }

    /// The new row, if there is nothing else to tell.
    #[must_use]
    pub(crate) fn single_row(&self) -> Option<&NewRow> {
        let is_single = self.rows.len() == 1
            && self.conversations.len() == 1
            && !self.list
            && !self.resync
            && self.friends.is_empty()
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

    /// Adds what happened. `rows` are the new rows of a conversation, if they join what was announced of it before;
    /// empty for a station that is not told of rows.
    pub(crate) fn add(&mut self, event: &Event, rows: &[Arc<NewRow>], version: ClientVersion) {
        match event {
            Event::ConversationChanged { conversation, .. }
            | Event::PageCut { conversation, .. } => {
                self.conversations.insert(*conversation);
                if version.is_v4() {
                    self.add_rows(*conversation, rows);
                }
            }
            Event::ListChanged { .. } => self.list = true,
            Event::FriendChanged { friend, .. } => {
                self.friends.insert(*friend);
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

    /// Adds what was told before and may not have arrived; of conversations only their ids.
    pub(crate) fn add_again(&mut self, told: Self) {
        for conversation in told.conversations {
            self.conversations.insert(conversation);
            self.drop_rows(conversation);
        }
        self.friends.extend(told.friends);
        self.list |= told.list;
        self.resync |= told.resync;
        self.bound();
    }

    /// The ids alone, as a poll is told them.
    #[must_use]
    pub(crate) fn ids(&self) -> Self {
        let Self {
            conversations,
            list,
            resync,
            friends,
            ..
        } = self;
        Self {
            conversations: conversations.clone(),
            list: *list,
            resync: *resync,
            friends: friends.clone(),
            ..Self::default()
        }
    }

    /// From now on, of what changed so far only the ids are told, and who was writing is not told any more.
    pub(crate) fn keep_ids(&mut self) {
        self.ids_only.clone_from(&self.conversations);
        self.rows.clear();
        self.row_bytes = 0;
        self.typing.clear();
    }

    /// Everything may have changed: what was known of conversations is part of that.
    pub(crate) fn become_resync(&mut self) {
        let friends = std::mem::take(&mut self.friends);
        *self = Self {
            friends,
            ..Self::resync()
        };
    }

    fn bound(&mut self) {
        if self.conversations.len() + self.friends.len() + self.typing.len() > MAX_IDS {
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
pub(super) mod tests;
