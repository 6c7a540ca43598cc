//! The queue of entries that wait for a batch.

use std::collections::{HashSet, VecDeque};

use tokio::sync::oneshot;

use super::{BatchError, Entry};

/// Maximum number of entries in a batch, and their approximate size in bytes. Larger batches gain
/// nothing (BENCHMARKS.md), and cost more to retry when one entry is refused.
pub(super) const MAX_ENTRIES: usize = 128;
const MAX_BYTES: usize = 1 << 20;
/// Maximum number of waiting entries, and their approximate size in bytes; further callers get 503.
/// At a few thousand entries per second, this is what can be stored within the time that a client
/// waits.
const MAX_WAITING: usize = 8192;
const MAX_WAITING_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Queue<E: Entry> {
    pub waiting: VecDeque<Queued<E>>,
    pub bytes: usize,
    /// Whether a task is draining the queue.
    pub running: bool,
}

#[derive(Debug)]
pub(super) struct Queued<E: Entry> {
    pub entry: E,
    /// Number of attempts so far.
    pub attempts: usize,
    pub reply: oneshot::Sender<Result<(E, E::Outcome), BatchError>>,
}

impl<E: Entry> Default for Queue<E> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            running: false,
        }
    }
}

impl<E: Entry> Queue<E> {
    /// Adds an entry. Returns `true` if the caller has to start the draining task.
    pub(super) fn push(&mut self, queued: Queued<E>) -> Result<bool, BatchError> {
        // Compared without this entry, so that an entry of any size fits into an empty queue.
        if self.waiting.len() >= MAX_WAITING || self.bytes >= MAX_WAITING_BYTES {
            return Err(BatchError::Full);
        }
        self.bytes += queued.entry.bytes();
        self.waiting.push_back(queued);
        // Changed together with the queue, as when the task ends, so that no entry is left behind
        // in between.
        Ok(!std::mem::replace(&mut self.running, true))
    }

    /// Puts entries back at the front, in order.
    pub(super) fn push_front(&mut self, entries: Vec<Queued<E>>) {
        for one in entries.into_iter().rev() {
            self.bytes += one.entry.bytes();
            self.waiting.push_front(one);
        }
    }

    /// Takes the next batch. Returns `None` if nothing waits, and the draining task has to end.
    pub(super) fn next_batch(&mut self) -> Option<Vec<Queued<E>>> {
        if self.waiting.is_empty() {
            self.running = false;
            return None;
        }
        let (mut batch, mut later, mut bytes, mut keys) =
            (Vec::new(), Vec::new(), 0, HashSet::new());
        while batch.len() < MAX_ENTRIES && bytes < MAX_BYTES {
            let Some(next) = self.waiting.pop_front() else {
                break;
            };
            if next.entry.key().is_none_or(|key| keys.insert(key)) {
                bytes += next.entry.bytes();
                batch.push(next);
            } else {
                later.push(next);
            }
        }
        // At the front and in order: at the end, newer entries would overtake them in every round.
        for next in later.into_iter().rev() {
            self.waiting.push_front(next);
        }
        self.bytes -= bytes;
        Some(batch)
    }

    /// Drops all entries, because the draining task has ended early. Their callers get an error.
    pub(super) fn abandon(&mut self) {
        *self = Self::default();
    }
}
