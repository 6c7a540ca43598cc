//! The order in which new rows are announced. Each request announces its own rows, as does each node, so a row may be
//! announced before one that was committed earlier.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::notify::event::{Event, NewRow, NewRows};
use parlance_wire::{id::ConversationId, text::Instance};

/// Locks over which conversations are spread, so that announcements rarely wait for one another.
// As many as a byte has values, so that every byte of a hash names one.
const STRIPES: usize = 256;
/// Maximum conversations remembered under one lock. After one was forgotten, its next row is announced by id only.
const MAX_CONVERSATIONS: usize = 1024;

type Stripe = Mutex<HashMap<ConversationId, Head>>;

/// The newest row of each conversation that was announced on this node.
#[derive(Debug)]
pub(super) struct Order {
    stripes: [Stripe; STRIPES],
    // Keyed at random: with a fixed hash, users could look for conversations that share a lock with someone else's.
    hasher: RandomState,
}

/// The newest row that was announced.
#[derive(Debug)]
pub(super) struct Head {
    seq: i64,
    /// `None` if another node stored the row: hints do not carry it.
    instance: Option<Instance>,
}

/// The right to announce rows of a conversation: nobody else can while it is held.
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
    /// The rows of an event, if they follow what was announced of the conversation before, and otherwise none. The
    /// guard has to be held until they are passed on.
    pub(super) fn rows<'a>(&self, event: &'a Event) -> (Option<Turn<'_>>, &'a [Arc<NewRow>]) {
        let Event::ConversationChanged {
            conversation,
            new: Some(new),
            ..
        } = event
        else {
            return (None, &[]);
        };
        let [byte, ..] = self.hasher.hash_one(conversation).to_ne_bytes();
        // Not `expect`: the lint is off in the unit tests.
        #[allow(
            clippy::indexing_slicing,
            reason = "there is a stripe for every value of a byte"
        )]
        let stripe = &self.stripes[usize::from(byte)];
        // Nothing panics while it holds the lock; if it did, numbers are still numbers.
        let mut heads = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let joins = advance(&mut heads, *conversation, new);
        (Some(heads), if joins { &new.rows } else { &[] })
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
        // What was announced before this node started is not known, but nothing comes before the first row.
        None => new.first == 1,
        // After a `clear`, a client that holds rows of the old instance must not append these to them.
        Some(head) => {
            new.first == head.seq + 1
                && (head.instance.is_none() || instance.is_none() || head.instance == instance)
        }
    };
    // Never back: after a late announcement of an older row, one that was passed on already would seem to follow again.
    if head.is_none_or(|head| head.seq < new.last) {
        if heads.len() >= MAX_CONVERSATIONS && !heads.contains_key(&conversation) {
            // Rare, and costs each conversation one row that is announced by id only: cheaper than tracking their use.
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
