//! The connections to PostgreSQL. The library's own pool asks a connection whether it lives each time
//! that it is put back, which is a second round trip for every request; this one asks only those that
//! lay idle.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{Mutex as FairMutex, Notify, Semaphore, SemaphorePermit, TryAcquireError},
    time::{sleep, timeout, timeout_at},
};

use super::sqlstate;

/// How long a request waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that lay idle for longer is asked whether it lives before it is used.
const PING_AFTER_IDLE: Duration = Duration::from_secs(10);
/// A connection that lay idle for longer is closed.
const MAX_IDLE: Duration = Duration::from_mins(5);
/// A connection older than this is closed: what a backend remembers only grows.
const MAX_LIFETIME: Duration = Duration::from_mins(30);
/// After the database refused to open one more connection, idle ones of any thread are used for so long first.
const REUSE_ANY_AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// How often one more is asked for meanwhile, by one of all who wait: another node may have closed one.
const REOPEN_INTERVAL: Duration = Duration::from_millis(500);
/// How long a moment is looked for in which nothing is on its way, and how often.
const QUIESCE_TIMEOUT: Duration = Duration::from_secs(5);
const QUIESCE_POLL: Duration = Duration::from_millis(20);
/// A statement slower than this is logged (its text, never its values).
const SLOW_STATEMENT: Duration = Duration::from_secs(1);
/// After this time the database is silent: it would have stopped the statement itself.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(12);
/// After this time what became of a statement is decided, even if its answer was lost.
pub const COMMIT_SETTLED_AFTER: Duration = Duration::from_secs(15);

/// What statements rely on, said by each session itself: a role or a database may have preset anything else. The
/// library says time zone, date style, encoding, and how exact numbers are.
const SESSION: [(&str, &str); 15] = [
    ("search_path", "public"),
    // A statement that waited for a lock sees the row as it is by then: elsewhere it would be refused.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("default_transaction_deferrable", "off"),
    // What was answered OK is on the disk.
    ("synchronous_commit", "on"),
    ("idle_session_timeout", "0"),
    ("exit_on_error", "off"),
    ("row_security", "on"),
    // How literals are read, and values written.
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
    ("transform_null_equals", "off"),
    ("array_nulls", "on"),
    ("intervalstyle", "postgres"),
    ("bytea_output", "hex"),
    ("quote_all_identifiers", "off"),
];

/// Of a session that answers requests.
const REQUEST_SESSION: [(&str, &str); 6] = [
    // No request needs longer; a statement that takes it is stopped rather than left to pile up.
    ("statement_timeout", "10s"),
    // Nor does any hold a lock for long: who waits longer, waits for someone at a psql prompt.
    ("lock_timeout", "3s"),
    // A node that froze in the middle of a transaction does not keep its locks.
    ("idle_in_transaction_session_timeout", "15s"),
    // Each statement is planned once a connection. PostgreSQL would plan the larger ones anew for
    // each call, which cost it more than all else (BENCHMARKS.md).
    ("plan_cache_mode", "force_generic_plan"),
    // A plan that was made while a table was small must be good when it is not: by index, always.
    ("enable_seqscan", "off"),
    ("jit", "off"),
];

/// Of a session that looks at whole tables, and may take its time.
const MAINTENANCE_SESSION: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("enable_seqscan", "on"),
    ("plan_cache_mode", "auto"),
];

/// The database: at max_connections so many connections, opened when they are needed.
#[derive(Debug, Clone)]
pub struct Db {
    options: PgConnectOptions,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    max_connections: u32,
    permits: Semaphore,
    open: Mutex<Open>,
    /// Callers that wait for a permit.
    waiting: AtomicUsize,
    /// Where no more can be opened, who wants one waits here: first come, first served.
    waiters: FairMutex<()>,
    /// Somebody put a connection back, or closed one.
    returned: Notify,
}

/// How many connections are used, and how many callers wait for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub in_use: usize,
    pub idle: usize,
    pub waiting: usize,
}

/// A caller that waits, until it is dropped: also by being abandoned.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
struct Open {
    idle: Vec<Idle>,
    /// When the database last refused to open one more.
    refused_at: Option<Instant>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    opened_at: Instant,
    since: Instant,
    /// The thread that it was opened in, and that hears when there is something to read.
    opened_on: ThreadId,
}

impl Db {
    /// At max_connections `connections` to the database; none is opened yet.
    #[must_use]
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let options = options
            .application_name("parlance")
            .options(SESSION)
            .options(REQUEST_SESSION)
            .log_statements(log::LevelFilter::Off)
            .log_slow_statements(log::LevelFilter::Warn, SLOW_STATEMENT);
        let permits = Semaphore::new(usize::try_from(connections).unwrap_or(1));
        Self {
            options,
            pool: Arc::new(Pool {
                max_connections: connections,
                permits,
                waiting: AtomicUsize::new(0),
                open: Mutex::default(),
                waiters: FairMutex::default(),
                returned: Notify::new(),
            }),
        }
    }

    /// How to reach it.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// How to reach it for what may take its time: a migration, a backup, the doctor.
    #[must_use]
    pub fn maintenance_options(&self) -> PgConnectOptions {
        self.options
            .clone()
            .options(MAINTENANCE_SESSION)
            .log_slow_statements(log::LevelFilter::Off, Duration::MAX)
    }

    /// Works on a connection. One that waiters out to be broken is closed, with those that lie idle: they
    /// went the same way. So is one whose work is abandoned.
    ///
    /// # Errors
    /// `PoolTimedOut`, if none is free; `Configuration`, if none can be opened; `PoolClosed` after
    /// [`Db::close`]: in these cases nothing was begun. `Io`, if the database fell silent.
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        let pool = &*self.pool;
        let _permit = match pool.permits.try_acquire() {
            Err(TryAcquireError::NoPermits) => {
                let _waiting = Waiting::begin(&pool.waiting);
                match timeout(ACQUIRE_TIMEOUT, pool.permits.acquire()).await {
                    Ok(permit) => permit.map_err(|_| sqlx::Error::PoolClosed)?,
                    Err(_) => return Err(sqlx::Error::PoolTimedOut),
                }
            }
            permit => permit.map_err(|_| sqlx::Error::PoolClosed)?,
        };
        let Idle {
            mut connection,
            opened_at,
            opened_on,
            ..
        } = self.acquire().await?;
        let result = match timeout(RESPONSE_TIMEOUT, work(&mut connection)).await {
            Ok(result) => result,
            Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        };
        match &result {
            Err(error) if is_broken(error) => pool.locked().idle.clear(),
            _ if opened_at.elapsed() < MAX_LIFETIME && !pool.permits.is_closed() => {
                pool.locked().idle.push(Idle {
                    connection,
                    opened_at,
                    opened_on,
                    since: Instant::now(),
                });
            }
            _ => drop(connection.close().await),
        }
        pool.returned.notify_one();
        result
    }

    /// How the connections are used at this moment.
    pub(crate) fn usage(&self) -> Usage {
        let pool = &self.pool;
        let max = usize::try_from(pool.max_connections).unwrap_or(usize::MAX);
        Usage {
            in_use: max.saturating_sub(pool.permits.available_permits()),
            idle: pool.locked().idle.len(),
            waiting: pool.waiting.load(Ordering::Relaxed),
        }
    }

    /// Closes the connections that nobody needs.
    pub fn sweep(&self) {
        self.pool
            .locked()
            .idle
            .retain(|idle| idle.since.elapsed() < MAX_IDLE);
    }

    /// Waits until nothing is on its way, and holds back what comes until the answer is dropped. Returns `None` after
    /// [`Db::close`].
    pub async fn pause(&self) -> Option<SemaphorePermit<'_>> {
        let permits = &self.pool.permits;
        let deadline = Instant::now() + QUIESCE_TIMEOUT;
        let all = loop {
            match permits.try_acquire_many(self.pool.max_connections) {
                Ok(all) => break all,
                // Where it is never quiet by itself, who comes next waits for the last one to end.
                Err(TryAcquireError::NoPermits) if Instant::now() > deadline => {
                    break permits.acquire_many(self.pool.max_connections).await.ok()?;
                }
                Err(TryAcquireError::NoPermits) => sleep(QUIESCE_POLL).await,
                Err(TryAcquireError::Closed) => return None,
            }
        };
        self.pool.locked().idle.clear();
        Some(all)
    }

    /// Hands out no more connections, and closes those that lie idle.
    pub async fn close(&self) {
        self.pool.permits.close();
        let idle = std::mem::take(&mut self.pool.locked().idle);
        for Idle { connection, .. } in idle {
            // A connection that cannot say goodbye is gone all the same.
            let _ = timeout(ACQUIRE_TIMEOUT, connection.close()).await;
        }
    }

    /// A connection that lives: one that lies idle, a new one, or, where the database opens no more, one that
    /// somebody gives back.
    async fn acquire(&self) -> sqlx::Result<Idle> {
        let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
        timeout_at(deadline, self.acquire_or_open())
            .await
            .unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }

    async fn acquire_or_open(&self) -> sqlx::Result<Idle> {
        let opened_on = std::thread::current().id();
        if !self.pool.was_refused(REUSE_ANY_AFTER_REFUSAL) {
            if let Some(idle) = self.take_alive(opened_on).await {
                return Ok(idle);
            }
            if let Some(new) = self.connect(opened_on).await? {
                return Ok(new);
            }
        }
        let _waiter = self.pool.waiters.lock().await;
        loop {
            // What is given back from here on is not missed.
            let returned = self.pool.returned.notified();
            if let Some(idle) = self.take_alive(opened_on).await {
                return Ok(idle);
            }
            if !self.pool.was_refused(REOPEN_INTERVAL)
                && let Some(new) = self.connect(opened_on).await?
            {
                return Ok(new);
            }
            // Whether something came or not, it is looked at again.
            let _ = timeout(REOPEN_INTERVAL, returned).await;
        }
    }

    async fn take_alive(&self, opened_on: ThreadId) -> Option<Idle> {
        while let Some(mut idle) = self.pool.take(opened_on) {
            if idle.since.elapsed() < PING_AFTER_IDLE || idle.connection.ping().await.is_ok() {
                return Some(idle);
            }
        }
        None
    }

    /// Opens one more. Returns `None` when the database opens no more.
    async fn connect(&self, opened_on: ThreadId) -> sqlx::Result<Option<Idle>> {
        match self.options.connect().await {
            Ok(connection) => Ok(Some(Idle {
                connection,
                opened_at: Instant::now(),
                since: Instant::now(),
                opened_on,
            })),
            Err(error) if sqlstate::is_full(&error) => {
                self.pool.locked().refused_at = Some(Instant::now());
                Ok(None)
            }
            Err(error) => Err(sqlx::Error::Configuration(Box::new(error))),
        }
    }
}

impl Pool {
    /// Whether the database refused to open one more within this time.
    fn was_refused(&self, within: Duration) -> bool {
        self.locked()
            .refused_at
            .is_some_and(|at| at.elapsed() < within)
    }

    /// One that lies idle: of this thread; of another one only if no more may be opened. What there is to read
    /// on a connection is heard by the thread that opened it, which then has to wake the one that waits.
    fn take(&self, opened_on: ThreadId) -> Option<Idle> {
        let mut open = self.locked();
        let max_connections = usize::try_from(self.max_connections).unwrap_or(1);
        let in_use = max_connections - self.permits.available_permits();
        let may_open = open.idle.len() + in_use <= max_connections
            && open
                .refused_at
                .is_none_or(|at| at.elapsed() >= REUSE_ANY_AFTER_REFUSAL);
        let place = open
            .idle
            .iter()
            .rposition(|idle| idle.opened_on == opened_on);
        let place = place.or_else(|| open.idle.len().checked_sub(1).filter(|_| !may_open))?;
        Some(open.idle.remove(place))
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it holds the lock; if it did, connections are still connections.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What PostgreSQL's own programs are told of it, as `PGOPTIONS` takes it.
#[must_use]
pub fn session_options() -> String {
    let said = SESSION
        .iter()
        .chain(&MAINTENANCE_SESSION)
        .map(|(name, value)| format!("-c {name}={}", value.replace(' ', r"\ ")));
    said.collect::<Vec<_>>().join(" ")
}

/// How many connections the database allows in all, for this role.
///
/// # Errors
/// It cannot be asked.
pub(super) async fn connection_limit(db: &Db) -> sqlx::Result<i32> {
    let mut connection = db.options().connect().await?;
    let limit = sqlx::query_scalar!(
        r#"select least(
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
            -- Less than nothing: no limit.
            case when not r.rolsuper and r.rolconnlimit >= 0 then r.rolconnlimit end,
            case when not r.rolsuper and d.datconnlimit >= 0 then d.datconnlimit end
        ) as "limit!"
        from pg_roles r, pg_database d
        where r.rolname = session_user and d.datname = current_database()"#
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(limit)
}

/// Whether an error says that its connection is of no more use.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(_) => sqlstate::is_ended(error),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}
