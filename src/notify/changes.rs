//! The changes that a station has not yet been notified of, each once.
//!
//! A client appends new rows to those that it has, so a row is only among the changes if it follows
//! on them: on the rows of its conversation that were announced before ([`Order`]), and on those
//! that this station was sent ([`Changes`]). It may not, because each request and each node
//! announces its own rows, and a row may be announced before one that was committed earlier.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::event::{Event, NewRow, NewRows};
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
/// Number of locks that conversations are spread over, so that announcements rarely wait for each
/// other.
// 256, so that a byte of a hash selects one.
const STRIPES: usize = 256;
/// Maximum conversations remembered under one lock. After one was forgotten, its next row is announced by id only.
const MAX_CONVERSATIONS: usize = 1024;

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

type Stripe = Mutex<HashMap<ConversationId, Head>>;

/// The newest row of each conversation that was announced on this node.
#[derive(Debug)]
pub(super) struct Order {
    stripes: [Stripe; STRIPES],
    // Keyed at random: with a fixed hash, users could look for conversations that share a lock with
    // someone else's.
    hasher: RandomState,
}

/// The newest row that was announced.
#[derive(Debug)]
pub(super) struct Head {
    seq: i64,
    /// `None` if another node stored the row, as hints do not carry the instance.
    instance: Option<Instance>,
}

/// The right to announce rows of a conversation, which nobody else has while it is held.
pub(super) type Turn<'a> = MutexGuard<'a, HashMap<ConversationId, Head>>;

impl Default for Order {
    fn default() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Stripe::default()),
            hasher: RandomState::new(),
        }
    }
}

impl Order {
    /// An event's rows, if they follow what was announced of the conversation before; otherwise
    /// none. The guard has to be held until they are passed on.
    pub(super) fn rows<'a>(&self, event: &'a Event) -> (Option<Turn<'_>>, &'a [Arc<NewRow>]) {
        match event {
            Event::ConversationChanged {
                conversation,
                new: Some(new),
                ..
            } => {
                let mut heads = self.turn(conversation);
                let joins = advance(&mut heads, *conversation, new);
                (Some(heads), if joins { &new.rows } else { &[] })
            }
            Event::Erased {
                conversation,
                last_seq,
                ..
            } => {
                // As if all rows up to here had been announced: one that comes late may be an erased one, and is only named.
                let mut heads = self.turn(conversation);
                let all = NewRows {
                    first: *last_seq,
                    last: *last_seq,
                    rows: vec![],
                };
                advance(&mut heads, *conversation, &all);
                (Some(heads), &[])
            }
            _ => (None, &[]),
        }
    }

    fn turn(&self, conversation: &ConversationId) -> Turn<'_> {
        let [byte, ..] = self.hasher.hash_one(conversation).to_ne_bytes();
        // Not `expect`: the lint is off in the unit tests.
        #[allow(
            clippy::indexing_slicing,
            reason = "there is a stripe for every value of a byte"
        )]
        let stripe = &self.stripes[usize::from(byte)];
        // A panic while the lock is held cannot leave a head half-changed, so a poisoned lock is
        // still good.
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves a conversation's head. Returns `true` if the rows follow it.
fn advance(
    heads: &mut HashMap<ConversationId, Head>,
    conversation: ConversationId,
    new: &NewRows,
) -> bool {
    let instance = new.rows.first().map(|row| row.instance.clone());
    let head = heads.get(&conversation);
    let joins = match head {
        // It is unknown what was announced before this node started, but nothing precedes the first
        // row.
        None => new.first == 1,
        // After a `clear`, a client that holds rows of the old instance must not append these.
        Some(head) => {
            new.first == head.seq + 1
                && (head.instance.is_none() || instance.is_none() || head.instance == instance)
        }
    };
    // Never backwards: after a late announcement of an older row, a row that was passed on already
    // would seem to follow again.
    if head.is_none_or(|head| head.seq < new.last) {
        if heads.len() >= MAX_CONVERSATIONS && !heads.contains_key(&conversation) {
            // Rare, and costs each conversation one row that is announced by id only, which is
            // cheaper than tracking their use.
            heads.clear();
        }
        heads.insert(
            conversation,
            Head {
                seq: new.last,
                instance,
            },
        );
    }
    joins
}

#[cfg(test)]
pub(crate) mod tests;
