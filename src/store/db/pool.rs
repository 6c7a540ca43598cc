//! The pool: open connections, their present users, and waiting callers.

mod lease;

pub(super) use self::lease::Lease;

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use prometheus_client::metrics::histogram::Histogram;
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex as FairMutex, Notify, Semaphore, SemaphorePermit, TryAcquireError},
    time::{sleep, timeout, timeout_at},
};

use crate::{
    counters::Counters,
    store::{
        error::{Error, Result},
        sqlstate,
    },
};

/// A connection that was idle for longer is pinged before it is used, as a firewall may have
/// dropped it.
const PING_AFTER_IDLE: Duration = Duration::from_secs(10);
/// A connection that was idle for longer is closed.
const MAX_IDLE: Duration = Duration::from_mins(5);
/// A connection older than this is closed, because a backend's memory only grows.
const MAX_CONNECTION_LIFETIME: Duration = Duration::from_mins(30);
/// After the database refused to open another connection, idle ones of any thread are preferred for
/// this long.
const REUSE_ANY_AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// Meanwhile, one of the waiters tries to open one this often, as another node may have closed one.
const REOPEN_INTERVAL: Duration = Duration::from_millis(500);
/// How long [`Pool::pause`] looks for a moment without work in progress before it holds further
/// work back, and how often it looks.
const QUIESCE_TIMEOUT: Duration = Duration::from_secs(5);
const QUIESCE_POLL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(super) struct Pool {
    max_connections: u32,
    /// Maximum wait for a connection, after which the database counts as away.
    acquire_timeout: Duration,
    /// One permit for each connection that may be in use.
    permits: Semaphore,
    /// Callers that wait for a permit.
    waiting: AtomicUsize,
    wait_seconds: Histogram,
    /// Whether the last thing that was tried found the database away.
    is_away: AtomicBool,
    open: Mutex<Open>,
    /// If no more connections can be opened, waiters queue here: first come, first served.
    waiters: FairMutex<()>,
    /// Notified when a connection was returned or closed.
    returned: Notify,
}

#[derive(Debug, Default)]
struct Open {
    idle: Vec<Idle>,
    /// When the database last refused to open another one.
    refused_at: Option<Instant>,
    /// When it last said that its disk is full.
    disk_full_at: Option<Instant>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    opened_at: Instant,
    since: Instant,
    /// The thread whose reactor wakes its readers.
    opened_on: ThreadId,
}

/// Numbers of connections, and of callers that wait for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub in_use: usize,
    pub idle: usize,
    pub waiting: usize,
}

/// Counts a caller as waiting until it is dropped, even if the caller is cancelled.
struct WaitingCaller<'a>(&'a AtomicUsize);

impl<'a> WaitingCaller<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for WaitingCaller<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(
        max_connections: u32,
        acquire_timeout: Duration,
        counters: &Counters,
    ) -> Self {
        Self {
            max_connections,
            acquire_timeout,
            permits: Semaphore::new(usize::try_from(max_connections).unwrap_or(1)),
            waiting: AtomicUsize::new(0),
            wait_seconds: counters.db_wait_seconds.clone(),
            is_away: AtomicBool::new(false),
            open: Mutex::default(),
            waiters: FairMutex::default(),
            returned: Notify::new(),
        }
    }

    /// Present usage of the connections.
    pub(super) fn usage(&self) -> Usage {
        let max = usize::try_from(self.max_connections).unwrap_or(usize::MAX);
        Usage {
            in_use: max.saturating_sub(self.permits.available_permits()),
            idle: self.locked().idle.len(),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// Takes a living connection: an idle one, a new one, or, where the database opens no more, the
    /// next one that is returned.
    pub(super) async fn lease(&self, options: &PgConnectOptions) -> Result<Lease<'_>> {
        let closed = |_| Error::not_begun("the pool is closed");
        let permit = match self.permits.try_acquire() {
            Err(TryAcquireError::NoPermits) => {
                let _waiting = WaitingCaller::begin(&self.waiting);
                let begun = Instant::now();
                let permit = timeout(self.acquire_timeout, self.permits.acquire()).await;
                self.wait_seconds.observe(begun.elapsed().as_secs_f64());
                permit
                    .map_err(|_| none_free(self.acquire_timeout))?
                    .map_err(closed)?
            }
            permit => permit.map_err(|_| Error::not_begun("the pool is closed"))?,
        };
        // A second time limit: even with a permit, connecting can hang on a host that does not
        // answer.
        let deadline = tokio::time::Instant::now() + self.acquire_timeout;
        let held = timeout_at(deadline, self.acquire_or_open(options))
            .await
            .map_err(|_| none_free(self.acquire_timeout))??;
        Ok(Lease {
            pool: self,
            held,
            _permit: permit,
        })
    }

    /// Remembers whether the database is away.
    pub(super) fn note<T>(&self, result: &Result<T>) {
        let is_away = matches!(result, Err(Error::Away { .. }));
        // Looked at first: a value that rarely changes should stay in each core's cache.
        if self.is_away.load(Ordering::Relaxed) != is_away {
            self.is_away.store(is_away, Ordering::Relaxed);
        }
        if let Err(error) = result
            && error.is_disk_full()
        {
            self.locked().disk_full_at = Some(Instant::now());
        }
    }

    pub(super) fn was_disk_full_within(&self, time: Duration) -> bool {
        let said = self.locked().disk_full_at;
        said.is_some_and(|at| at.elapsed() < time)
    }

    pub(super) fn is_up(&self) -> bool {
        !self.is_away.load(Ordering::Relaxed)
    }

    pub(super) fn sweep(&self) {
        self.locked()
            .idle
            .retain(|idle| idle.since.elapsed() < MAX_IDLE);
    }

    pub(super) async fn pause(&self) -> Option<SemaphorePermit<'_>> {
        let deadline = Instant::now() + QUIESCE_TIMEOUT;
        let all = loop {
            match self.permits.try_acquire_many(self.max_connections) {
                Ok(all) => break all,
                // Where there is never a quiet moment, further work is held back until the last one
                // ends. Not immediately: waiting in the semaphore's queue holds everyone back for
                // as long as the slowest statement takes.
                Err(TryAcquireError::NoPermits) if Instant::now() > deadline => {
                    break self.permits.acquire_many(self.max_connections).await.ok()?;
                }
                Err(TryAcquireError::NoPermits) => sleep(QUIESCE_POLL).await,
                Err(TryAcquireError::Closed) => return None,
            }
        };
        // They lead to the PostgreSQL that is about to be stopped.
        self.locked().idle.clear();
        Some(all)
    }

    pub(super) async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut self.locked().idle);
        for Idle { connection, .. } in idle {
            // A connection that cannot be closed cleanly is gone nevertheless.
            let _ = timeout(self.acquire_timeout, connection.close()).await;
        }
    }

    async fn acquire_or_open(&self, options: &PgConnectOptions) -> Result<Idle> {
        let here = std::thread::current().id();
        if !self.was_refused(REUSE_ANY_AFTER_REFUSAL) {
            if let Some(idle) = self.take_alive(here).await {
                return Ok(idle);
            }
            if let Some(new) = self.open_one(options, here).await? {
                return Ok(new);
            }
        }
        // One at a time, or all waiters together would keep asking for a connection that the
        // database refuses.
        let _waiter = self.waiters.lock().await;
        loop {
            // Created before looking, so that a connection returned from here on is not missed.
            let returned = self.returned.notified();
            if let Some(idle) = self.take_alive(here).await {
                return Ok(idle);
            }
            if !self.was_refused(REOPEN_INTERVAL)
                && let Some(new) = self.open_one(options, here).await?
            {
                return Ok(new);
            }
            // After a timeout as well as a return, it is time to look again.
            let _ = timeout(REOPEN_INTERVAL, returned).await;
        }
    }

    async fn take_alive(&self, here: ThreadId) -> Option<Idle> {
        while let Some(mut idle) = self.take(here) {
            if idle.since.elapsed() < PING_AFTER_IDLE || idle.connection.ping().await.is_ok() {
                return Some(idle);
            }
        }
        None
    }

    /// Opens another connection. Returns `None` if the database opens no more.
    async fn open_one(
        &self,
        options: &PgConnectOptions,
        opened_on: ThreadId,
    ) -> Result<Option<Idle>> {
        match options.connect().await {
            Ok(connection) => Ok(Some(Idle {
                connection,
                opened_at: Instant::now(),
                since: Instant::now(),
                opened_on,
            })),
            Err(error) if sqlstate::is_full(&error) => {
                self.locked().refused_at = Some(Instant::now());
                Ok(None)
            }
            // Whatever the error, even of a broken socket, nothing was begun on it.
            Err(error) => Err(Error::not_begun(error)),
        }
    }

    /// Returns `true` if the database refused another connection within this time.
    fn was_refused(&self, within: Duration) -> bool {
        self.locked()
            .refused_at
            .is_some_and(|at| at.elapsed() < within)
    }

    /// Takes an idle connection: one of this thread, or of any thread if no more may be opened.
    /// Data arriving on a connection wakes the thread that opened it, which then has to wake the
    /// waiting thread: two more system calls per answer.
    fn take(&self, here: ThreadId) -> Option<Idle> {
        let mut open = self.locked();
        let max = usize::try_from(self.max_connections).unwrap_or(1);
        // Includes the one that is being taken.
        let in_use = max - self.permits.available_permits();
        let may_open = open.idle.len() + in_use <= max
            && open
                .refused_at
                .is_none_or(|at| at.elapsed() >= REUSE_ANY_AFTER_REFUSAL);
        // The most recently used one, so that the others can grow old and be closed.
        let position = open.idle.iter().rposition(|idle| idle.opened_on == here);
        let position = position.or_else(|| open.idle.len().checked_sub(1).filter(|_| !may_open))?;
        Some(open.idle.remove(position))
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        // A panic while the lock is held cannot leave a connection half-listed, so a poisoned lock
        // is still good.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn none_free(waited: Duration) -> Error {
    Error::not_begun(format!(
        "no connection became free within {} seconds",
        waited.as_secs()
    ))
}
