//! The connections to PostgreSQL. The library's own pool asks a connection whether it lives each time
//! that it is put back, which is a second round trip for every request; this one asks only those that
//! lay idle.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread::ThreadId,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    time::timeout,
};

/// How long a request waits for a connection before it is told that the database is away.
const PATIENCE: Duration = Duration::from_secs(5);
/// A connection that lay idle for longer is asked whether it lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);
/// A connection that lay idle for longer is closed.
const MOST_IDLE: Duration = Duration::from_mins(5);
/// A connection older than this is closed: what a backend remembers only grows.
const MOST_AGE: Duration = Duration::from_mins(30);
/// A statement slower than this is logged (its text, never its values).
const SLOW: Duration = Duration::from_secs(1);
/// No request needs longer; a statement that takes it is stopped rather than left to pile up.
const STATEMENT_TIMEOUT: &str = "10s";
/// Nor does any hold a lock for long: who waits longer, waits for someone at a psql prompt.
const LOCK_TIMEOUT: &str = "3s";
/// After this time the database is silent: it would have stopped the statement itself.
const SILENCE: Duration = Duration::from_secs(12);
/// After this time what became of a statement is decided, even if its answer was lost.
pub const DECIDED: Duration = Duration::from_secs(15);

/// The database: at most so many connections, opened when they are needed.
#[derive(Debug)]
pub struct Db {
    options: PgConnectOptions,
    most: usize,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    born: Instant,
    since: Instant,
    /// The thread that it was opened in, and that hears when there is something to read.
    home: ThreadId,
}

impl Db {
    /// At most `connections` to the database; none is opened yet.
    #[must_use]
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let options = options
            .application_name("parlance")
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("lock_timeout", LOCK_TIMEOUT),
                ("timezone", "UTC"),
                // Each statement is planned once a connection. PostgreSQL would plan the larger ones anew for
                // each call, which cost it more than all else (BENCHMARKS.md).
                ("plan_cache_mode", "force_generic_plan"),
                // A plan that was made while a table was small must be good when it is not: by index, always.
                ("enable_seqscan", "off"),
                ("jit", "off"),
            ])
            .log_statements(log::LevelFilter::Off)
            .log_slow_statements(log::LevelFilter::Warn, SLOW);
        let most = usize::try_from(connections).unwrap_or(1);
        Self { options, most, permits: Semaphore::new(most), idle: Mutex::default() }
    }

    /// How to reach it.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// Works on a connection. One that turns out to be broken is closed, with those that lie idle: they
    /// went the same way. So is one whose work is abandoned.
    ///
    /// # Errors
    /// `PoolTimedOut`, if none is free; `Configuration`, if none can be opened; `PoolClosed` after
    /// [`Db::close`]: in these cases nothing was begun. `Io`, if the database fell silent.
    pub async fn run<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> sqlx::Result<T> {
        let _permit = match self.permits.try_acquire() {
            Err(TryAcquireError::NoPermits) => match timeout(PATIENCE, self.permits.acquire()).await {
                Ok(permit) => permit.map_err(|_| sqlx::Error::PoolClosed)?,
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            },
            permit => permit.map_err(|_| sqlx::Error::PoolClosed)?,
        };
        let home = std::thread::current().id();
        let Idle { mut connection, born, home, .. } = match self.take(home) {
            Some(idle) if idle.since.elapsed() < TRUSTED_IDLE => idle,
            idle => match timeout(PATIENCE, self.connect(idle, home)).await {
                Ok(opened) => opened.map_err(|error| sqlx::Error::Configuration(Box::new(error)))?,
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
            },
        };
        let result = match timeout(SILENCE, work(&mut connection)).await {
            Ok(result) => result,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        match &result {
            Err(error) if is_broken(error) => self.locked().clear(),
            _ if born.elapsed() < MOST_AGE && !self.permits.is_closed() => {
                self.locked().push(Idle { connection, born, home, since: Instant::now() });
            }
            _ => drop(connection.close().await),
        }
        result
    }

    /// Closes the connections that nobody needs.
    pub fn sweep(&self) {
        self.locked().retain(|idle| idle.since.elapsed() < MOST_IDLE);
    }

    /// Hands out no more connections, and closes those that lie idle.
    pub async fn close(&self) {
        self.permits.close();
        let idle = std::mem::take(&mut *self.locked());
        for Idle { connection, .. } in idle {
            // A connection that cannot say goodbye is gone all the same.
            let _ = timeout(PATIENCE, connection.close()).await;
        }
    }

    /// One that lies idle: of this thread; of another one only if no more may be opened. What there is to read
    /// on a connection is heard by the thread that opened it, which then has to wake the one that waits.
    fn take(&self, home: ThreadId) -> Option<Idle> {
        let mut idle = self.locked();
        let in_use = self.most - self.permits.available_permits();
        let place = idle.iter().rposition(|idle| idle.home == home);
        let may_open = idle.len() + in_use <= self.most;
        let place = place.or_else(|| idle.len().checked_sub(1).filter(|_| !may_open))?;
        Some(idle.remove(place))
    }

    /// One that lay idle for long and still lives, or a new one.
    async fn connect(&self, mut idle: Option<Idle>, home: ThreadId) -> sqlx::Result<Idle> {
        while let Some(mut old) = idle {
            if old.connection.ping().await.is_ok() {
                return Ok(old);
            }
            idle = self.take(home);
        }
        let connection = self.options.connect().await?;
        Ok(Idle { connection, born: Instant::now(), since: Instant::now(), home })
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Idle>> {
        // Nothing panics while it holds the lock; if it did, connections are still connections.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an error says that its connection is of no more use.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        // The operator, or a crash, ended it.
        sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| code.starts_with("57P")),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
