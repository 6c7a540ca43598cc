//! The writer: what many callers want stored at the same moment meets here, and goes to the database in one
//! statement and one commit. A batch is whatever came while the one before it was on its way: so there is no
//! timer, and who comes alone does not wait. One batch is on its way at a time: two would be half as large each,
//! cost PostgreSQL more, and wait for each other's locks where many write into one conversation.

use std::{
    collections::{HashSet, VecDeque},
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::{Db, probe};

/// A batch has so many entries at most, and about so many bytes.
const MOST_ENTRIES: usize = 128;
const MOST_BYTES: usize = 1 << 20;
/// So many entries wait at most, of about so many bytes; who comes then is told to come again later.
const MOST_WAITING: usize = 8192;
const MOST_WAITING_BYTES: usize = 64 << 20;

/// How long a batch that failed counts, unless another one is stored: somebody has to try again to find out.
const FAILED_FOR: Duration = Duration::from_secs(10);

/// What is stored in batches.
pub trait Entry: Sized + fmt::Debug + Send + Sync + 'static {
    /// What became of it.
    type Outcome: Send + fmt::Debug;
    /// See [`Entry::key`].
    type Key: Hash + Eq + Send;

    /// Two that have the same key are not in one batch.
    fn key(&self) -> Option<Self::Key>;

    /// About how much it adds to a batch.
    fn bytes(&self) -> usize;

    /// Stores a batch in one commit, and says of each what became of it, in the same order.
    fn store(db: &Db, batch: &[Self]) -> impl Future<Output = sqlx::Result<Vec<Self::Outcome>>> + Send;
}

/// Why the writer did not store an entry.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Too many wait already. Nothing was begun.
    #[error("too much waits to be stored")]
    Full,
    /// The database's word, which several callers may share.
    #[error("{0}")]
    Database(Arc<sqlx::Error>),
    /// The server stopped meanwhile. It may have been stored all the same.
    #[error("the server stopped")]
    Stopped,
}

/// Stores entries of one kind.
#[derive(Debug)]
pub struct Writer<E: Entry>(Arc<Inner<E>>);

#[derive(Debug)]
struct Inner<E: Entry> {
    db: Arc<Db>,
    queue: Mutex<Queue<E>>,
    /// When a batch could last not be stored, and why, if none was stored since.
    failed: Mutex<Option<(Instant, String)>>,
}

#[derive(Debug)]
struct Queue<E: Entry> {
    waiting: VecDeque<Waiting<E>>,
    bytes: usize,
    /// Whether someone takes from the queue.
    is_served: bool,
}

#[derive(Debug)]
struct Waiting<E: Entry> {
    entry: E,
    tell: oneshot::Sender<Result<(E, E::Outcome), Refusal>>,
}

impl<E: Entry> Writer<E> {
    /// Onto this database.
    #[must_use]
    pub fn new(db: Arc<Db>) -> Self {
        let queue = Mutex::new(Queue { waiting: VecDeque::new(), bytes: 0, is_served: false });
        Self(Arc::new(Inner { db, queue, failed: Mutex::default() }))
    }

    /// Stores an entry, with those of others, and hands it back with what became of it. It is stored even if the
    /// caller does not wait for that.
    ///
    /// # Errors
    /// Those of its own: that a neighbour cannot be stored is not among them.
    pub async fn add(&self, entry: E) -> Result<(E, E::Outcome), Refusal> {
        let (tell, told) = oneshot::channel();
        if self.0.queue(Waiting { entry, tell })? {
            tokio::spawn(Turn { inner: self.0.clone(), is_over: false }.serve());
        }
        told.await.unwrap_or(Err(Refusal::Stopped))
    }

    /// Why the last batch could not be stored, for a person. Returns `None` when it was, or when that is a while ago.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let failed = self.0.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.as_ref().filter(|(at, _)| at.elapsed() < FAILED_FOR).map(|(_, cause)| cause.clone())
    }

    /// How many entries wait for their batch to begin.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.locked().waiting.len()
    }
}

impl<E: Entry> Inner<E> {
    /// Puts an entry into the queue. Whether it is for the caller to see that the queue is served.
    fn queue(&self, waiting: Waiting<E>) -> Result<bool, Refusal> {
        let mut queue = self.locked();
        if queue.waiting.len() >= MOST_WAITING || queue.bytes >= MOST_WAITING_BYTES {
            return Err(Refusal::Full);
        }
        queue.bytes += waiting.entry.bytes();
        queue.waiting.push_back(waiting);
        Ok(!std::mem::replace(&mut queue.is_served, true))
    }

    /// What goes next. `None`: nothing waits, and nobody takes from the queue any more.
    fn next(&self) -> Option<Vec<Waiting<E>>> {
        let mut queue = self.locked();
        if queue.waiting.is_empty() {
            queue.is_served = false;
            return None;
        }
        let (mut batch, mut later, mut bytes, mut keys) = (Vec::new(), Vec::new(), 0, HashSet::new());
        while batch.len() < MOST_ENTRIES && bytes < MOST_BYTES {
            let Some(next) = queue.waiting.pop_front() else { break };
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

    async fn store(&self, batch: Vec<Waiting<E>>) {
        let (mut entries, mut tells): (Vec<E>, VecDeque<_>) = batch.into_iter().map(|one| (one.entry, one.tell)).unzip();
        // A batch that is refused as a whole is tried again in halves, down to the one that it is about; then in
        // larger parts again.
        let mut size = entries.len();
        while !entries.is_empty() {
            size = size.min(entries.len());
            let part = entries.get(..size).unwrap_or(&entries);
            let stored = E::store(&self.db, part).await;
            self.note(&stored);
            let outcomes = match stored {
                Err(error) if size > 1 && is_refusal(&error) => {
                    size /= 2;
                    continue;
                }
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) => {
                    let error = Arc::new(error);
                    (0..size).map(|_| Err(Refusal::Database(error.clone()))).collect::<Vec<_>>()
                }
            };
            for ((tell, entry), outcome) in tells.drain(..size).zip(entries.drain(..size)).zip(outcomes) {
                // Who does not wait any more need not be told.
                let _ = tell.send(outcome.map(|outcome| (entry, outcome)));
            }
            size *= 2;
        }
    }

    /// Remembers whether the database takes what it is given.
    fn note<T>(&self, stored: &sqlx::Result<T>) {
        let failed = match stored {
            Ok(_) => None,
            Err(error @ sqlx::Error::Database(_)) => match probe::cause(error) {
                Some(cause) => Some((Instant::now(), cause)),
                None => return,
            },
            // One that is away shows in other ways.
            Err(_) => return,
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    fn locked(&self) -> MutexGuard<'_, Queue<E>> {
        // Nothing panics while it holds the lock; if it did, entries are still entries.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the queue, one batch after the other, until nothing waits.
struct Turn<E: Entry> {
    inner: Arc<Inner<E>>,
    is_over: bool,
}

impl<E: Entry> Turn<E> {
    async fn serve(mut self) {
        while let Some(batch) = self.inner.next() {
            self.inner.store(batch).await;
        }
        self.is_over = true;
    }
}

impl<E: Entry> Drop for Turn<E> {
    /// If the thread ends in the middle of it, all who wait are told so, as nobody else may come by.
    fn drop(&mut self) {
        if !self.is_over {
            let mut queue = self.inner.locked();
            queue.is_served = false;
            queue.waiting.clear();
            queue.bytes = 0;
        }
    }
}

/// Whether the database looked at a statement and refused it: then nothing of it was done, and with fewer
/// entries it may not be refused. One that is away, or has no room left, is not asked again.
fn is_refusal(error: &sqlx::Error) -> bool {
    const AWAY: [&str; 3] = ["08", "53", "58"];
    const ENDED: &str = "57P";
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| {
        let is_away = AWAY.iter().any(|class| code.starts_with(class)) || code.starts_with(ENDED);
        !is_away
    })
}
