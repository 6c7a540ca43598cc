//! The batcher: what many callers want stored at the same moment meets here, and goes to the database in one
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

use super::{Db, sqlstate};

/// A batch has so many entries at most, and about so many bytes.
const MAX_ENTRIES: usize = 128;
const MAX_BYTES: usize = 1 << 20;
/// So many entries wait at most, of about so many bytes; who comes then is answer to come again later.
const MAX_WAITING: usize = 8192;
const MAX_WAITING_BYTES: usize = 64 << 20;

/// How often an entry is stored again because who takes part changed meanwhile.
const MAX_ATTEMPTS: usize = 20;
/// How long a batch that failed counts, unless another one is stored: somebody has to try again to find out.
const FAILURE_REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// What is stored in batches.
pub(crate) trait Entry: Sized + fmt::Debug + Send + Sync + 'static {
    /// What became of it.
    type Outcome: Send + fmt::Debug;
    /// See [`Entry::key`].
    type Key: Hash + Eq + Send;

    /// Two that have the same key are not in one batch.
    fn key(&self) -> Option<Self::Key>;

    /// About how much it adds to a batch.
    fn bytes(&self) -> usize;

    /// Stores a batch in one commit, and says of each what became of it, in the same order. `None`: nothing yet,
    /// as who takes part changed meanwhile; it is to be stored again.
    fn store(
        db: &Db,
        batch: &[Self],
    ) -> impl Future<Output = sqlx::Result<Vec<Option<Self::Outcome>>>> + Send;
}

/// Why the batcher did not store an entry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// Too many wait already. Nothing was begun.
    #[error("too much waits to be stored")]
    Full,
    /// The database's word, which several callers may share.
    #[error("{0}")]
    Database(Arc<sqlx::Error>),
    /// Who takes part changed again and again. Nothing was done.
    #[error("who takes part keeps changing")]
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
    /// When a batch could last not be stored, and why, if none was stored since.
    failed: Mutex<Option<(Instant, String)>>,
}

#[derive(Debug)]
struct Queue<E: Entry> {
    waiting: VecDeque<Queued<E>>,
    bytes: usize,
    /// Whether someone takes from the queue.
    running: bool,
}

#[derive(Debug)]
struct Queued<E: Entry> {
    entry: E,
    /// How often it was to be stored again.
    attempts: usize,
    reply: oneshot::Sender<Result<(E, E::Outcome), BatchError>>,
}

impl<E: Entry> Batcher<E> {
    /// Onto this database.
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
    /// Puts an entry into the queue. Whether it is for the caller to see that the queue is served.
    fn enqueue(&self, waiting: Queued<E>) -> Result<bool, BatchError> {
        let mut queue = self.locked();
        if queue.waiting.len() >= MAX_WAITING || queue.bytes >= MAX_WAITING_BYTES {
            return Err(BatchError::Full);
        }
        queue.bytes += waiting.entry.bytes();
        queue.waiting.push_back(waiting);
        Ok(!std::mem::replace(&mut queue.running, true))
    }

    /// What goes next. `None`: nothing waits, and nobody takes from the queue any more.
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

    /// Stores a batch. What has to be stored again goes to the front of the queue: others who come meanwhile are stored
    /// with it.
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

    /// Returns what has to be stored again.
    async fn store_once(&self, batch: Vec<Queued<E>>) -> Vec<Queued<E>> {
        let mut again = Vec::new();
        let (mut entries, mut replies): (Vec<E>, VecDeque<_>) = batch
            .into_iter()
            .map(|one| (one.entry, (one.reply, one.attempts)))
            .unzip();
        // A batch that is refused as a whole is tried again in halves, down to the one that it is about; then in
        // larger parts again.
        let mut size = entries.len();
        while !entries.is_empty() {
            size = size.min(entries.len());
            let part = entries.get(..size).unwrap_or(&entries);
            let stored = E::store(&self.db, part).await;
            self.record(&stored);
            let outcomes = match stored {
                Err(error) if size > 1 && sqlstate::is_refusal(&error) => {
                    size /= 2;
                    continue;
                }
                Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
                Err(error) => {
                    let error = Arc::new(error);
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
                // Who does not wait any more need not be answer.
                let _ = match outcome {
                    Ok(Some(outcome)) => reply.send(Ok((entry, outcome))),
                    Err(refusal) => reply.send(Err(refusal)),
                    Ok(None) => {
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

    /// Remembers whether the database takes what it is given.
    fn record<T>(&self, stored: &sqlx::Result<T>) {
        let failed = match stored {
            Ok(_) => None,
            // A session that was ended says nothing of the next one.
            Err(error @ sqlx::Error::Database(_)) if !sqlstate::is_ended(error) => {
                match sqlstate::cause(error) {
                    Some(cause) => Some((Instant::now(), cause)),
                    None => return,
                }
            }
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
    /// If the thread ends in the middle of it, all who wait are answer so, as nobody else may come by.
    fn drop(&mut self) {
        if !self.finished {
            let mut queue = self.inner.locked();
            queue.running = false;
            queue.waiting.clear();
            queue.bytes = 0;
        }
    }
}

/// The entry of a batch that `with ordinality` counts as this ordinal, from one, and where its outcome goes.
///
/// # Errors
/// There is no such ordinal.
pub(crate) fn entry_at<'a, E, O>(
    batch: &'a [E],
    outcomes: &'a mut [O],
    ordinal: i64,
) -> sqlx::Result<(&'a E, &'a mut O)> {
    let found = usize::try_from(ordinal - 1)
        .ok()
        .and_then(|ordinal| batch.get(ordinal).zip(outcomes.get_mut(ordinal)));
    found.ok_or_else(|| super::impossible("ordinal"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::postgres::PgConnectOptions;
    use tokio::{sync::Semaphore, task::JoinHandle, time::timeout};

    use super::*;

    /// Stores nothing: its batch waits to be let on, and may panic then.
    #[derive(Debug, Clone)]
    struct Probe {
        number: usize,
        gate: Arc<Semaphore>,
        panics: bool,
        /// As a group whose members change each time.
        always_retried: bool,
    }

    impl Entry for Probe {
        type Outcome = usize;
        type Key = usize;

        fn key(&self) -> Option<usize> {
            Some(self.number)
        }

        fn bytes(&self) -> usize {
            1000
        }

        async fn store(_: &Db, batch: &[Self]) -> sqlx::Result<Vec<Option<usize>>> {
            batch[0].gate.acquire().await.unwrap().forget();
            assert!(
                !batch.iter().any(|probe| probe.panics),
                "as a fault of ours would"
            );
            Ok(batch
                .iter()
                .map(|probe| (!probe.always_retried).then_some(probe.number))
                .collect())
        }
    }

    fn batcher() -> Batcher<Probe> {
        Batcher::new(Db::new(PgConnectOptions::new(), 1))
    }

    async fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let holds = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), holds).await.expect(what);
    }

    /// Adds a probe, without waiting for what becomes of it.
    fn add(
        batcher: &Batcher<Probe>,
        probe: Probe,
    ) -> JoinHandle<Result<(Probe, usize), BatchError>> {
        let batcher = Batcher(batcher.0.clone());
        tokio::spawn(async move { batcher.add(probe).await })
    }

    #[tokio::test]
    async fn what_has_to_be_stored_again_and_again_is_refused_and_holds_nobody_up() {
        let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
        let probe = |number, always_retried| Probe {
            number,
            gate: gate.clone(),
            panics: false,
            always_retried,
        };
        let first = add(&batcher, probe(0, false));
        until("the first batch is on its way", || {
            batcher.0.locked().running && batcher.waiting() == 0
        })
        .await;
        let (changing, other) = (
            add(&batcher, probe(1, true)),
            add(&batcher, probe(2, false)),
        );
        until("both wait", || batcher.waiting() == 2).await;
        gate.add_permits(1 + MAX_ATTEMPTS);
        assert_eq!(first.await.unwrap().unwrap().1, 0);
        assert_eq!(other.await.unwrap().unwrap().1, 2);
        let refused = timeout(Duration::from_secs(10), changing)
            .await
            .expect("it ends")
            .unwrap();
        assert!(matches!(refused, Err(BatchError::Contended)), "{refused:?}");
    }

    #[tokio::test]
    async fn who_comes_while_something_is_stored_again_does_not_wait_for_its_end() {
        let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
        let probe = |number, always_retried| Probe {
            number,
            gate: gate.clone(),
            panics: false,
            always_retried,
        };
        let changing = add(&batcher, probe(0, true));
        until("it is on its way", || {
            batcher.0.locked().running && batcher.waiting() == 0
        })
        .await;
        let newcomer = add(&batcher, probe(1, false));
        until("the other one waits", || batcher.waiting() == 1).await;
        // One for the first round, and one for the second, with both.
        gate.add_permits(2);
        let stored = timeout(Duration::from_secs(10), newcomer)
            .await
            .expect("it does not wait")
            .unwrap();
        assert_eq!(stored.unwrap().1, 1);
        assert!(!changing.is_finished());
        gate.add_permits(MAX_ATTEMPTS - 2);
        assert!(matches!(
            changing.await.unwrap(),
            Err(BatchError::Contended)
        ));
        assert_eq!(batcher.0.locked().bytes, 0);
    }

    #[tokio::test]
    async fn if_the_task_that_stores_ends_in_the_middle_all_who_wait_are_told_and_the_next_one_is_served()
     {
        let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
        let probe = |number, panics| Probe {
            number,
            gate: gate.clone(),
            panics,
            always_retried: false,
        };
        let first = add(&batcher, probe(0, true));
        until("the first batch is on its way", || {
            batcher.0.locked().running && batcher.waiting() == 0
        })
        .await;
        let others: Vec<_> = (1..4)
            .map(|number| add(&batcher, probe(number, false)))
            .collect();
        until("the others wait", || batcher.waiting() == 3).await;
        gate.add_permits(1);
        for asked in std::iter::once(first).chain(others) {
            let answer = timeout(Duration::from_secs(10), asked)
                .await
                .expect("nobody waits for ever")
                .unwrap();
            assert!(matches!(answer, Err(BatchError::Stopped)), "{answer:?}");
        }
        {
            let queue = batcher.0.locked();
            assert!(
                queue.waiting.is_empty() && queue.bytes == 0 && !queue.running,
                "{queue:?}"
            );
        }
        gate.add_permits(1);
        assert_eq!(batcher.add(probe(7, false)).await.unwrap().1, 7);
    }

    #[tokio::test]
    async fn what_a_caller_who_went_away_wanted_stored_is_stored_and_the_next_batch_is_as_large_as_it_may_be()
     {
        let (batcher, gate) = (batcher(), Arc::new(Semaphore::new(0)));
        let probe = |number| Probe {
            number,
            gate: gate.clone(),
            panics: false,
            always_retried: false,
        };
        let first = add(&batcher, probe(0));
        until("the first batch is on its way", || {
            batcher.0.locked().running && batcher.waiting() == 0
        })
        .await;
        first.abort();
        // One more than a batch takes, and one that must not be with its twin.
        let others: Vec<_> = [1, 1]
            .into_iter()
            .chain(2..=MAX_ENTRIES)
            .map(|number| add(&batcher, probe(number)))
            .collect();
        until("the others wait", || batcher.waiting() == MAX_ENTRIES + 1).await;
        gate.add_permits(1);
        until("the second batch is on its way", || batcher.waiting() == 1).await;
        gate.add_permits(2);
        for (number, asked) in [1, 1].into_iter().chain(2..=MAX_ENTRIES).zip(others) {
            assert_eq!(asked.await.unwrap().unwrap().1, number);
        }
    }
}
