//! Group commit: the entries of concurrent callers go to the database in one statement and one
//! commit. A batch is whatever arrived while the previous one was being stored, so there is no
//! timer, and a lone caller does not wait. Batches are stored one at a time: two concurrent ones
//! would be half as large each, cost PostgreSQL more, and wait for each other's locks when many
//! write into one conversation.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{
    Db,
    error::{self, Shared, impossible},
};

/// Maximum number of entries in a batch, and their approximate size in bytes. Larger batches gain
/// nothing (BENCHMARKS.md), and cost more to retry when one entry is refused.
const MAX_ENTRIES: usize = 128;
const MAX_BYTES: usize = 1 << 20;
/// Maximum number of waiting entries, and their approximate size in bytes; further callers get 503.
/// At a few thousand entries per second, this is what can be stored within the time that a client
/// waits.
const MAX_WAITING: usize = 8192;
const MAX_WAITING_BYTES: usize = 64 << 20;
/// Maximum attempts for an entry because the group's members changed. Each retry needs another
/// change to be committed between the statement's snapshot and its lock, within about a
/// millisecond.
const MAX_ATTEMPTS: usize = 20;
/// How long a failed batch counts as a failure of the node, unless another batch is stored: only a
/// further write can show that the database accepts writes again.
const FAILURE_REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// An entry that can be stored in batches.
pub(crate) trait Entry: Sized + fmt::Debug + Send + Sync + 'static {
    /// The outcome for its caller.
    type Outcome: Send + fmt::Debug;
    /// The entries' name in the metrics.
    const KIND: &'static str;
    type Key: Hash + Eq + Send;

    /// Two entries of the same key are never in one batch.
    fn key(&self) -> Option<Self::Key>;

    /// Its approximate size in a batch, in bytes.
    fn bytes(&self) -> usize;

    /// Stores a batch in one commit. Returns the outcome of each entry, in the same order.
    fn store(
        db: &Db,
        batch: &[Self],
    ) -> impl Future<Output = error::Result<Vec<Attempt<Self::Outcome>>>> + Send;
}

/// The outcome of one attempt for an entry.
#[derive(Debug)]
pub(crate) enum Attempt<O> {
    /// Final: the outcome for the caller.
    Done(O),
    /// The group's members, or other rows that the entry was judged by, changed while the statement
    /// waited for the lock. Nothing of the entry is stored.
    MembershipChanged,
}

/// The reason why an entry was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Too many entries are waiting already. Nothing was begun.
    #[error("too many entries wait to be stored")]
    Full,
    /// The database's error, which several callers may share.
    #[error(transparent)]
    Database(Shared),
    /// The group's members changed at every attempt. Nothing was done.
    #[error("the members of the group keep changing")]
    Contended,
    /// The server stopped. The entry may have been stored nevertheless.
    #[error("the server stopped")]
    Stopped,
}

/// Stores entries of one kind.
#[derive(Debug)]
pub(crate) struct Batcher<E: Entry>(Arc<Inner<E>>);

#[derive(Debug)]
struct Inner<E: Entry> {
    db: Db,
    // A std mutex, as it is held for a few pushes and never across an await.
    queue: Mutex<Queue<E>>,
    /// The time and the reason of the last failure, unless a batch was stored since.
    failed: Mutex<Option<(Instant, String)>>,
}

impl<E: Entry> Batcher<E> {
    #[must_use]
    pub(crate) fn new(db: Db) -> Self {
        Self(Arc::new(Inner {
            db,
            queue: Mutex::default(),
            failed: Mutex::default(),
        }))
    }

    /// Stores an entry together with those of other callers, and returns it with its outcome. It is
    /// stored even if the caller stops waiting.
    ///
    /// # Errors
    /// Only those of the entry itself, not of others in its batch.
    pub(crate) async fn add(&self, entry: E) -> Result<(E, E::Outcome), BatchError> {
        let (reply, answer) = oneshot::channel();
        if self.0.locked().push(Queued {
            entry,
            attempts: 0,
            reply,
        })? {
            // In a task of its own: a caller that is cancelled must not take the whole batch with
            // it. Without the caller's span: the batch is that of many requests, and a line with the
            // id of one of them would mislead.
            tokio::spawn(
                Drain {
                    inner: self.0.clone(),
                    finished: false,
                }
                .run(),
            );
        }
        answer.await.unwrap_or(Err(BatchError::Stopped))
    }

    /// The reason why the last batch could not be stored, for people. Returns `None` if it was
    /// stored, or failed a while ago.
    #[must_use]
    pub(crate) fn failure(&self) -> Option<String> {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed
            .as_ref()
            .filter(|(at, _)| at.elapsed() < FAILURE_REMEMBERED_FOR)
            .map(|(_, cause)| cause.clone())
    }

    /// Number of entries that wait for their batch.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        self.0.locked().waiting.len()
    }
}

impl<E: Entry> Inner<E> {
    /// Stores a batch. Entries to be retried go to the front of the queue, so that entries that
    /// arrived meanwhile are stored with them and not after their last attempt.
    async fn store(&self, batch: Vec<Queued<E>>) {
        let again = self.store_once(batch).await;
        let (again, contended): (Vec<_>, Vec<_>) = again
            .into_iter()
            .partition(|one| one.attempts < MAX_ATTEMPTS);
        for Queued { reply, .. } in contended {
            // A caller that is gone needs no answer.
            let _ = reply.send(Err(BatchError::Contended));
        }
        self.locked().push_front(again);
    }

    /// Stores a batch once. Returns the entries that have to be retried.
    async fn store_once(&self, batch: Vec<Queued<E>>) -> Vec<Queued<E>> {
        let mut again = Vec::new();
        let (mut entries, mut replies): (Vec<E>, VecDeque<_>) = batch
            .into_iter()
            .map(|one| (one.entry, (one.reply, one.attempts)))
            .unzip();
        // A batch that is refused as a whole is split in halves, down to the entry at fault; then
        // the parts grow again.
        let mut size = entries.len();
        while !entries.is_empty() {
            size = size.min(entries.len());
            let part = entries.get(..size).unwrap_or(&entries);
            let begun = Instant::now();
            let stored = E::store(&self.db, part).await.and_then(|outcomes| {
                if outcomes.len() == size {
                    Ok(outcomes)
                } else {
                    Err(impossible("not one outcome for each entry"))
                }
            });
            let counters = self.db.counters();
            counters.count_batch(E::KIND, size, begun.elapsed());
            self.record(&stored);
            let outcomes = match stored {
                Err(error) if size > 1 && error.may_be_split() => {
                    size /= 2;
                    let label = [("kind", E::KIND)];
                    counters.batch_splits.get_or_create(&label).inc();
                    continue;
                }
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) => {
                    // The error cannot be cloned, and each caller has to know whether their write
                    // may have been committed.
                    let error = Shared::new(error);
                    (0..size)
                        .map(|_| Err(BatchError::Database(error.clone())))
                        .collect::<Vec<_>>()
                }
            };
            for (((reply, attempts), entry), outcome) in replies
                .drain(..size)
                .zip(entries.drain(..size))
                .zip(outcomes)
            {
                // A caller that is gone gets no reply; its entry is stored all the same.
                let _ = match outcome {
                    Ok(Attempt::Done(outcome)) => reply.send(Ok((entry, outcome))),
                    Err(error) => reply.send(Err(error)),
                    Ok(Attempt::MembershipChanged) => {
                        again.push(Queued {
                            entry,
                            attempts: attempts + 1,
                            reply,
                        });
                        continue;
                    }
                };
            }
            size *= 2;
        }
        again
    }

    /// Records whether the database accepts writes, for `/readyz`.
    fn record<T>(&self, stored: &error::Result<T>) {
        let failed = match stored {
            Ok(_) => None,
            // A lost answer says nothing about the next batch, and a database that is away shows in
            // other ways.
            Err(error) if error.is_lost_answer() => return,
            Err(error) => match error.write_failure() {
                Some(cause) => Some((Instant::now(), cause)),
                None => return,
            },
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    fn locked(&self) -> MutexGuard<'_, Queue<E>> {
        // A panic while the lock is held cannot leave an entry half-queued, so a poisoned lock is
        // still good.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entries that wait for a batch.
#[derive(Debug)]
struct Queue<E: Entry> {
    waiting: VecDeque<Queued<E>>,
    bytes: usize,
    /// Whether a task is draining the queue.
    running: bool,
}

#[derive(Debug)]
struct Queued<E: Entry> {
    entry: E,
    /// Number of attempts so far.
    attempts: usize,
    reply: oneshot::Sender<Result<(E, E::Outcome), BatchError>>,
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
    fn push(&mut self, queued: Queued<E>) -> Result<bool, BatchError> {
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
    fn push_front(&mut self, entries: Vec<Queued<E>>) {
        for one in entries.into_iter().rev() {
            self.bytes += one.entry.bytes();
            self.waiting.push_front(one);
        }
    }

    /// Takes the next batch. Returns `None` if nothing waits, and the draining task has to end.
    fn next_batch(&mut self) -> Option<Vec<Queued<E>>> {
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
    fn abandon(&mut self) {
        *self = Self::default();
    }
}

/// The task that stores batches until nothing waits.
struct Drain<E: Entry> {
    inner: Arc<Inner<E>>,
    finished: bool,
}

impl<E: Entry> Drain<E> {
    fn next_batch(&self) -> Option<Vec<Queued<E>>> {
        self.inner.locked().next_batch()
    }

    async fn run(mut self) {
        while let Some(batch) = self.next_batch() {
            self.inner.store(batch).await;
        }
        self.finished = true;
    }
}

impl<E: Entry> Drop for Drain<E> {
    /// Answers all waiting callers if the task ends early (a panic, or its worker thread stops), as
    /// nothing else might start another one.
    fn drop(&mut self) {
        if !self.finished {
            self.inner.locked().abandon();
        }
    }
}

/// The entry with this ordinal as `with ordinality` counts (from one), and the slot for its
/// outcome.
///
/// # Errors
/// There is no such entry.
pub(crate) fn entry_at<'a, E, O>(
    batch: &'a [E],
    outcomes: &'a mut [O],
    ordinal: i64,
) -> error::Result<(&'a E, &'a mut O)> {
    let found = usize::try_from(ordinal - 1)
        .ok()
        .and_then(|index| batch.get(index).zip(outcomes.get_mut(index)));
    found.ok_or_else(|| impossible("an ordinal that was not asked"))
}

#[cfg(test)]
mod tests;
