//! Group commit: what many callers want stored at the same moment goes to the database in one statement and one
//! commit. A batch is whatever arrived while the one before it was on its way, so there is no timer, and a lone caller
//! does not wait. One batch is on its way at a time: two would be half as large each, cost PostgreSQL more, and wait
//! for each other's locks where many write into one conversation.

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

/// Maximum entries of a batch, and about how many bytes. Larger ones gain nothing (BENCHMARKS.md), and are more work to
/// try again when one entry is refused.
const MAX_ENTRIES: usize = 128;
const MAX_BYTES: usize = 1 << 20;
/// Maximum entries that wait, of about this many bytes; further callers get 503. At a few thousand a second this is
/// what is stored within the time that a client waits.
const MAX_WAITING: usize = 8192;
const MAX_WAITING_BYTES: usize = 64 << 20;

/// How often an entry is tried because the group's members changed meanwhile. Each time another change was committed
/// between the statement's snapshot and its lock, which is a matter of a millisecond.
const MAX_ATTEMPTS: usize = 20;
/// How long a failed batch counts as a failure of the node, unless another one is stored: somebody has to try again to
/// find out.
const FAILURE_REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// What is stored in batches.
pub(crate) trait Entry: Sized + fmt::Debug + Send + Sync + 'static {
    /// What became of it.
    type Outcome: Send + fmt::Debug;
    /// See [`Entry::key`].
    type Key: Hash + Eq + Send;

    /// Two entries of the same key are never in one batch.
    fn key(&self) -> Option<Self::Key>;

    /// About how many bytes it adds to a batch.
    fn bytes(&self) -> usize;

    /// Stores a batch in one commit. Returns what became of each entry, in the same order.
    fn store(
        db: &Db,
        batch: &[Self],
    ) -> impl Future<Output = error::Result<Vec<Attempt<Self::Outcome>>>> + Send;
}

/// What became of an entry in one attempt.
#[derive(Debug)]
pub(crate) enum Attempt<O> {
    /// It is decided.
    Done(O),
    /// The members of its group, or else what it is judged by, changed while the statement waited for the lock. Nothing of
    /// it is stored.
    MembershipChanged,
}

/// Why an entry was not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Too many wait already. Nothing was begun.
    #[error("too many entries wait to be stored")]
    Full,
    /// The database's error, which several callers may share.
    #[error(transparent)]
    Database(Shared),
    /// The members of its group changed at every attempt. Nothing was done.
    #[error("the members of the group keep changing")]
    Contended,
    /// The server stopped meanwhile. It may have been stored all the same.
    #[error("the server stopped")]
    Stopped,
}

/// Stores entries of one kind.
#[derive(Debug)]
pub(crate) struct Batcher<E: Entry>(Arc<Inner<E>>);

#[derive(Debug)]
struct Inner<E: Entry> {
    db: Db,
    queue: Mutex<Queue<E>>,
    /// When a batch last failed, and why, if none was stored since.
    failed: Mutex<Option<(Instant, String)>>,
}

#[derive(Debug)]
struct Queue<E: Entry> {
    waiting: VecDeque<Queued<E>>,
    bytes: usize,
    /// A task takes from the queue.
    running: bool,
}

#[derive(Debug)]
struct Queued<E: Entry> {
    entry: E,
    /// How often it was tried before.
    attempts: usize,
    reply: oneshot::Sender<Result<(E, E::Outcome), BatchError>>,
}

impl<E: Entry> Batcher<E> {
    #[must_use]
    pub(crate) fn new(db: Db) -> Self {
        let queue = Mutex::new(Queue {
            waiting: VecDeque::new(),
            bytes: 0,
            running: false,
        });
        Self(Arc::new(Inner {
            db,
            queue,
            failed: Mutex::default(),
        }))
    }

    /// Stores an entry, with those of others, and hands it back with what became of it. It is stored even if the
    /// caller does not wait for that.
    ///
    /// # Errors
    /// Those of its own: that a neighbour cannot be stored is not among them.
    pub(crate) async fn add(&self, entry: E) -> Result<(E, E::Outcome), BatchError> {
        let (reply, answer) = oneshot::channel();
        if self.0.enqueue(Queued {
            entry,
            attempts: 0,
            reply,
        })? {
            // A task of its own: a caller that goes away would take the batch of all others with it.
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

    /// Why the last batch could not be stored, for a person. Returns `None` when it was, or when that is a while ago.
    #[must_use]
    pub(crate) fn failure(&self) -> Option<String> {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed
            .as_ref()
            .filter(|(at, _)| at.elapsed() < FAILURE_REMEMBERED_FOR)
            .map(|(_, cause)| cause.clone())
    }

    /// How many entries wait for their batch to begin.
    #[must_use]
    pub(crate) fn waiting(&self) -> usize {
        self.0.locked().waiting.len()
    }
}

impl<E: Entry> Inner<E> {
    /// Puts an entry into the queue. Returns whether the caller has to start the task that takes from it.
    fn enqueue(&self, entry: Queued<E>) -> Result<bool, BatchError> {
        let mut queue = self.locked();
        if queue.waiting.len() >= MAX_WAITING || queue.bytes >= MAX_WAITING_BYTES {
            return Err(BatchError::Full);
        }
        queue.bytes += entry.entry.bytes();
        queue.waiting.push_back(entry);
        // Under the lock, as the task's end is: so no entry is left behind between the two.
        Ok(!std::mem::replace(&mut queue.running, true))
    }

    /// The next batch. Returns `None` when nothing waits: then nobody takes from the queue any more.
    fn next_batch(&self) -> Option<Vec<Queued<E>>> {
        let mut queue = self.locked();
        if queue.waiting.is_empty() {
            queue.running = false;
            return None;
        }
        let (mut batch, mut later, mut bytes, mut keys) =
            (Vec::new(), Vec::new(), 0, HashSet::new());
        while batch.len() < MAX_ENTRIES && bytes < MAX_BYTES {
            let Some(next) = queue.waiting.pop_front() else {
                break;
            };
            if next.entry.key().is_none_or(|key| keys.insert(key)) {
                bytes += next.entry.bytes();
                batch.push(next);
            } else {
                later.push(next);
            }
        }
        for next in later.into_iter().rev() {
            queue.waiting.push_front(next);
        }
        queue.bytes -= bytes;
        Some(batch)
    }

    /// Stores a batch. What has to be tried again goes to the front of the queue: those who come meanwhile are stored
    /// with it, rather than after its last attempt.
    async fn store(&self, batch: Vec<Queued<E>>) {
        let again = self.store_once(batch).await;
        let (again, contended): (Vec<_>, Vec<_>) = again
            .into_iter()
            .partition(|one| one.attempts < MAX_ATTEMPTS);
        for Queued { reply, .. } in contended {
            let _ = reply.send(Err(BatchError::Contended));
        }
        let mut queue = self.locked();
        for one in again.into_iter().rev() {
            queue.bytes += one.entry.bytes();
            queue.waiting.push_front(one);
        }
    }

    /// Returns what has to be tried again.
    async fn store_once(&self, batch: Vec<Queued<E>>) -> Vec<Queued<E>> {
        let mut again = Vec::new();
        let (mut entries, mut replies): (Vec<E>, VecDeque<_>) = batch
            .into_iter()
            .map(|one| (one.entry, (one.reply, one.attempts)))
            .unzip();
        // A batch that is refused as a whole is tried again in halves, down to the entry that it is about; then in
        // larger parts again.
        let mut size = entries.len();
        while !entries.is_empty() {
            size = size.min(entries.len());
            let part = entries.get(..size).unwrap_or(&entries);
            let stored = E::store(&self.db, part).await.and_then(|outcomes| {
                if outcomes.len() == size {
                    Ok(outcomes)
                } else {
                    Err(impossible("not one outcome for each entry"))
                }
            });
            self.record(&stored);
            let outcomes = match stored {
                Err(error) if size > 1 && error.may_be_split() => {
                    size /= 2;
                    continue;
                }
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) => {
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
                // A caller that went away gets no reply; its entry is stored all the same.
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

    /// Remembers whether the database takes writes, for `/readyz`.
    fn record<T>(&self, stored: &error::Result<T>) {
        let failed = match stored {
            Ok(_) => None,
            // A lost answer says nothing of the next batch; a database that is away shows in other ways.
            Err(error) if error.is_lost_answer() => return,
            Err(error) => match error.write_failure() {
                Some(cause) => Some((Instant::now(), cause)),
                None => return,
            },
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    fn locked(&self) -> MutexGuard<'_, Queue<E>> {
        // Nothing panics while it holds the lock; if it did, entries are still entries.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that stores one batch after the other, until nothing waits.
struct Drain<E: Entry> {
    inner: Arc<Inner<E>>,
    finished: bool,
}

impl<E: Entry> Drain<E> {
    async fn run(mut self) {
        while let Some(batch) = self.inner.next_batch() {
            self.inner.store(batch).await;
        }
        self.finished = true;
    }
}

impl<E: Entry> Drop for Drain<E> {
    /// If the task ends in the middle (a panic, or its worker thread stops), all who wait are told so, as nobody else
    /// may come by and start another one.
    fn drop(&mut self) {
        if !self.finished {
            let mut queue = self.inner.locked();
            queue.running = false;
            queue.waiting.clear();
            queue.bytes = 0;
        }
    }
}

/// The entry of a batch that `with ordinality` counts as this one, from one, and where its outcome goes.
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
