//! The order in which new rows are announced. Requests of one batch, other nodes and reports all announce for
//! themselves, so a row may be announced before one that was committed before it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::notify::event::{Event, NewRow, NewRows};
use parlance_wire::{id::ConversationId, text::Instance};

/// Locks over which conversations are spread, so that announcements rarely wait for one another.
const STRIPES: usize = 64;
/// Maximum conversations remembered under one lock. Of one that is forgotten the next row is only named.
const MAX_CONVERSATIONS: usize = 4096;

/// Up to where each conversation was announced on this node.
#[derive(Debug)]
pub(super) struct Order {
    stripes: Vec<Mutex<HashMap<ConversationId, Head>>>,
    hasher: RandomState,
}

/// The newest row that was announced.
#[derive(Debug)]
pub(super) struct Head {
    seq: i64,
    /// `None`: not known, as another node stored the row.
    instance: Option<Instance>,
}

/// While it is held, nothing else is announced of the conversation.
pub(super) type Turn<'a> = MutexGuard<'a, HashMap<ConversationId, Head>>;

impl Default for Order {
    fn default() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Order {
    /// The rows of an event, if they follow what was announced of the conversation before, and else none. What is
    /// returned with them is to be held until they are handed on.
    pub(super) fn rows<'a>(&self, event: &'a Event) -> (Option<Turn<'_>>, &'a [Arc<NewRow>]) {
        let Event::ConversationChanged {
            conversation,
            new: Some(new),
            ..
        } = event
        else {
            return (None, &[]);
        };
        let stripe =
            usize::try_from(self.hasher.hash_one(conversation)).unwrap_or_default() % STRIPES;
        let Some(stripe) = self.stripes.get(stripe) else {
            return (None, &[]);
        };
        // Nothing panics while it holds the lock; if it did, numbers are still numbers.
        let mut heads = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        let joins = advance(&mut heads, *conversation, new);
        (Some(heads), if joins { &new.rows } else { &[] })
    }
}

/// Moves a conversation's head. Returns whether the rows follow it.
fn advance(
    heads: &mut HashMap<ConversationId, Head>,
    conversation: ConversationId,
    new: &NewRows,
) -> bool {
    let instance = new.rows.first().map(|row| row.instance.clone());
    let head = heads.get(&conversation);
    let joins = match head {
        // What was announced before this node started is not known: but before the first row there is none.
        None => new.first == 1,
        // After a `clear`, whoever holds the instance before has to download.
        Some(head) => {
            new.first == head.seq + 1
                && (head.instance.is_none() || instance.is_none() || head.instance == instance)
        }
    };
    if head.is_none_or(|head| head.seq < new.last) {
        if heads.len() >= MAX_CONVERSATIONS && !heads.contains_key(&conversation) {
            // Rare, and each costs one row that is only named: cheaper than to keep an order of use.
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
