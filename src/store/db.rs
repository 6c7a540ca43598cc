//! The connections to PostgreSQL. The library's own pool asks a connection whether it lives each time
//! that it is put back, which is a second round trip for every request; this one asks only those that
//! lay idle.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::Semaphore, time::timeout};

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
/// After this time the database is silent: it would have stopped the statement itself.
const SILENCE: Duration = Duration::from_secs(12);
/// After this time what became of a statement is decided, even if its answer was lost.
pub const DECIDED: Duration = Duration::from_secs(15);

/// The database: at most so many connections, opened when they are needed.
#[derive(Debug)]
pub struct Db {
    options: PgConnectOptions,
    permits: Semaphore,
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    born: Instant,
    since: Instant,
}

impl Db {
    /// At most `connections` to the database; none is opened yet.
    #[must_use]
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let options = options
            .application_name("parlance")
            .options([
                ("statement_timeout", STATEMENT_TIMEOUT),
                ("timezone", "UTC"),
                // Each statement is planned once a connection. PostgreSQL would plan the larger ones anew for
                // each call: `add` took 970 µs of its CPU that way, and takes 200.
                ("plan_cache_mode", "force_generic_plan"),
                ("jit", "off"),
            ])
            .log_statements(log::LevelFilter::Off)
            .log_slow_statements(log::LevelFilter::Warn, SLOW);
        let permits = Semaphore::new(usize::try_from(connections).unwrap_or(1));
        Self { options, permits, idle: Mutex::default() }
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
        let permit = timeout(PATIENCE, self.permits.acquire()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let _permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let opened = timeout(PATIENCE, self.connection()).await.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let (mut connection, born) = opened.map_err(|error| sqlx::Error::Configuration(Box::new(error)))?;
        let result = match timeout(SILENCE, work(&mut connection)).await {
            Ok(result) => result,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        match &result {
            Err(error) if is_broken(error) => self.locked().clear(),
            _ if born.elapsed() < MOST_AGE && !self.permits.is_closed() => {
                self.locked().push(Idle { connection, born, since: Instant::now() });
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

    async fn connection(&self) -> sqlx::Result<(PgConnection, Instant)> {
        loop {
            let newest = self.locked().pop();
            let Some(Idle { mut connection, born, since }) = newest else {
                return Ok((self.options.connect().await?, Instant::now()));
            };
            if since.elapsed() < TRUSTED_IDLE || connection.ping().await.is_ok() {
                return Ok((connection, born));
            }
        }
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
