//! The connections to PostgreSQL, and running work on one of them, alone or in a transaction.
//!
//! This is not the library's pool, because that one pings every connection that is returned, which
//! cannot be turned off (sqlx-core 0.9.0, `src/pool/connection.rs`, line 314:
//! `self.raw.ping().await`). The ping is a second round trip for every request: 22 µs over a Unix
//! socket (pgbench, an empty statement), and a whole network round trip to a database on another
//! machine, where a message takes 142 to 182 µs in all (BENCHMARKS.md). [`Db`] only pings
//! connections that were idle for a while. The ping has a purpose that [`Db::transaction`] takes
//! over: it sends the ROLLBACK that a dropped transaction leaves queued.

mod pool;
mod session;

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::SemaphorePermit, time::timeout};

use self::{
    pool::{Lease, Pool, Usage},
    session::{MAINTENANCE_SESSION, REQUEST_SESSION, SESSION},
};
use super::error::{Error, Result};
use crate::{counters::Counters, timings::DatabaseTimings};

pub use self::session::session_options;

/// How sessions are called, for the operator; and for nodes of later releases, which have to know
/// what this one does not do (`store/list.rs`).
const SESSION_NAME: &str = concat!("parlance ", env!("CARGO_PKG_VERSION"));
/// A statement slower than this is logged (its text, never its values).
const SLOW_STATEMENT: Duration = Duration::from_secs(1);
/// After this time the fate of a statement is settled, even if its answer was lost:
/// [`DatabaseTimings::response`], and some more for a commit that was on its way.
pub const COMMIT_SETTLED_AFTER: Duration = Duration::from_secs(15);

/// The database: a bounded number of connections, which are opened on demand.
#[derive(Debug, Clone)]
pub struct Db {
    options: PgConnectOptions,
    pool: Arc<Pool>,
    response_timeout: Duration,
    counters: Counters,
}

/// How a transaction ends, and its result.
#[derive(Debug)]
pub enum End<T> {
    /// Keep the changes.
    Commit(T),
    /// Undo the changes.
    Rollback(T),
}

impl Db {
    /// A pool of at most `connections`, none of which is open yet, with the usual timeouts.
    #[must_use]
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        Self::with_timings(options, connections, DatabaseTimings::default())
    }

    /// Like [`Db::new`], with other timeouts.
    #[must_use]
    pub fn with_timings(
        options: PgConnectOptions,
        connections: u32,
        timings: DatabaseTimings,
    ) -> Self {
        let counters = Counters::default();
        let options = options
            .application_name(SESSION_NAME)
            // In the startup message: this needs no round trip, and applies from the first
            // statement on.
            .options(SESSION)
            .options(REQUEST_SESSION)
            .options([
                (
                    "statement_timeout",
                    timings.statement.as_millis().to_string(),
                ),
                ("lock_timeout", timings.lock.as_millis().to_string()),
            ])
            .log_statements(log::LevelFilter::Off)
            .log_slow_statements(log::LevelFilter::Warn, SLOW_STATEMENT);
        Self {
            pool: Arc::new(Pool::new(connections, timings.acquire, &counters)),
            options,
            response_timeout: timings.response,
            counters,
        }
    }

    /// Present usage of the connections.
    pub(crate) fn usage(&self) -> Usage {
        self.pool.usage()
    }

    /// The counters of this database, and of what is stored in it.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// `false` if the last thing that was tried found the database away.
    pub(crate) fn is_up(&self) -> bool {
        self.pool.is_up()
    }

    /// Whether the database said, no longer ago than this, that its disk is full.
    pub(crate) fn was_disk_full_within(&self, time: Duration) -> bool {
        self.pool.was_disk_full_within(time)
    }

    /// The options to connect with.
    #[must_use]
    pub fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The options to connect with for long work: a migration, a backup, the doctor.
    #[must_use]
    pub fn maintenance_options(&self) -> PgConnectOptions {
        self.options
            .clone()
            .options(MAINTENANCE_SESSION)
            .log_slow_statements(log::LevelFilter::Off, Duration::MAX)
    }

    /// Runs statements that commit by themselves on a connection. For several that belong together,
    /// use [`Db::transaction`].
    ///
    /// # Errors
    /// `Away`, with `uncertain: false` if no connection became free or none could be opened, or
    /// after [`Db::close`]; with `uncertain: true` if the session ended or the database fell
    /// silent. Also the errors of the work.
    pub async fn run<T, E: Into<Error>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let mut lease = self.lease().await?;
        let result = self
            .answer_of(async { work(lease.connection()).await.map_err(Into::into) })
            .await;
        self.counted(lease.release(result).await)
    }

    /// Runs work in a transaction, and commits it or awaits its rollback, so that no lock stays on
    /// an idle connection. Work that is abandoned takes its connection with it, which ends the
    /// transaction.
    ///
    /// # Errors
    /// As [`Db::run`].
    pub async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<End<T>>,
    ) -> Result<T> {
        let mut lease = self.lease().await?;
        let result = self
            .answer_of(async {
                let mut tx = lease.connection().begin().await?;
                match work(&mut tx).await {
                    Ok(End::Commit(answer)) => {
                        tx.commit().await?;
                        Ok(answer)
                    }
                    Ok(End::Rollback(answer)) => {
                        tx.rollback().await?;
                        Ok(answer)
                    }
                    Err(error) => {
                        // If the rollback fails as well, its error is returned, as it says that the
                        // connection must not be used again.
                        tx.rollback().await?;
                        Err(error)
                    }
                }
            })
            .await;
        self.counted(lease.release(result).await)
    }

    async fn answer_of<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        // Dropping the work half-way leaves an unread answer on its connection, which `uncertain` keeps
        // from being reused.
        match timeout(self.response_timeout, work).await {
            Ok(result) => result,
            Err(elapsed) => Err(Error::Away {
                uncertain: true,
                source: elapsed.into(),
            }),
        }
    }

    async fn lease(&self) -> Result<Lease<'_>> {
        self.counted(self.pool.lease(&self.options).await)
    }

    /// Counts a failure of the database. A refusal is none.
    fn counted<T>(&self, result: Result<T>) -> Result<T> {
        self.pool.note(&result);
        let class = match &result {
            // Nor is a store of files that is away.
            Ok(_)
            | Err(Error::Refused { .. } | Error::FilesAway { .. } | Error::FilesFull { .. }) => {
                return result;
            }
            Err(Error::Away {
                uncertain: false, ..
            }) => "away",
            Err(Error::Away {
                uncertain: true, ..
            }) => "answer_lost",
            Err(Error::Bug { .. }) => "unexpected",
        };
        let label = [("class", class)];
        self.counters.db_errors.get_or_create(&label).inc();
        result
    }

    /// Closes connections that have been idle for too long.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// Waits until no work is in progress, and holds further work back until the permit is dropped.
    /// Returns `None` after [`Db::close`].
    pub async fn pause(&self) -> Option<SemaphorePermit<'_>> {
        self.pool.pause().await
    }

    /// Hands out no more connections, and closes the idle ones.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The capabilities of a database, as far as a node depends on them.
pub(super) struct Offer {
    /// Maximum connections that it allows this role.
    pub connections: i32,
    /// Sessions have the settings that they ask for. A pooler may drop these.
    pub has_settings: bool,
}

/// Reads the capabilities of a database.
///
/// # Errors
/// The query fails.
pub(super) async fn offer(db: &Db) -> sqlx::Result<Offer> {
    let mut connection = db.options().connect().await?;
    let offer = sqlx::query_as!(
        Offer,
        r#"select least(
            current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
            -- Negative: no limit.
            case when not r.rolsuper and r.rolconnlimit >= 0 then r.rolconnlimit end,
            case when not r.rolsuper and d.datconnlimit >= 0 then d.datconnlimit end
        ) as "connections!", current_setting('plan_cache_mode') = 'force_generic_plan' as "has_settings!"
        from pg_roles r, pg_database d
        where r.rolname = session_user and d.datname = current_database()"#
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok(offer)
}
