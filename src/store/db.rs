//! The connections to PostgreSQL: work on one of them, alone or in a transaction.
//!
//! Why not the library's pool: it pings every connection that is returned, which cannot be turned off (sqlx-core
//! 0.9.0, `src/pool/connection.rs`, line 314: `self.raw.ping().await`). That is a second round trip for every
//! request: 22 µs over a Unix socket (pgbench, an empty statement), and a whole network round trip to a database on
//! another machine, where a message takes 142 to 182 µs in all (BENCHMARKS.md). [`Db`] pings only connections that
//! lay idle for a while. The ping has a use that [`Db::transaction`] takes over: it sends the ROLLBACK that a dropped
//! transaction leaves queued.

mod pool;
mod session;

use std::{sync::Arc, time::Duration};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{sync::SemaphorePermit, time::timeout};

use self::{
    pool::{Pool, Usage},
    session::{MAINTENANCE_SESSION, REQUEST_SESSION, SESSION},
};
use super::error::{Error, Result};

pub use self::session::session_options;

/// A statement slower than this is logged (its text, never its values).
const SLOW_STATEMENT: Duration = Duration::from_secs(1);
/// Maximum time to an answer; after that the database counts as away. More than a statement's 10 s (see [`session`]):
/// until then PostgreSQL itself says what became of it, which is certain.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(12);
/// After this time a statement is committed or not, for good, even if its answer was lost: [`RESPONSE_TIMEOUT`], and
/// some for a commit that was on its way.
pub const COMMIT_SETTLED_AFTER: Duration = Duration::from_secs(15);

/// The database: a bounded number of connections, opened when they are needed.
#[derive(Debug, Clone)]
pub struct Db {
    options: PgConnectOptions,
    pool: Arc<Pool>,
}

/// How a transaction ends, and what it answers.
#[derive(Debug)]
pub enum End<T> {
    /// Keep what was done.
    Commit(T),
    /// Undo it.
    Rollback(T),
}

impl Db {
    /// A pool of at most `connections`; none is opened yet.
    #[must_use]
    pub fn new(options: PgConnectOptions, connections: u32) -> Self {
        let options = options
            .application_name("parlance")
            // In the startup message: no round trip, and they hold from the first statement on.
            .options(SESSION)
            .options(REQUEST_SESSION)
            .log_statements(log::LevelFilter::Off)
            .log_slow_statements(log::LevelFilter::Warn, SLOW_STATEMENT);
        Self {
            pool: Arc::new(Pool::new(connections)),
            options,
        }
    }

    /// How the connections are used at this moment.
    pub(crate) fn usage(&self) -> Usage {
        self.pool.usage()
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

    /// Works on a connection: statements that commit by themselves. For several that belong together there is
    /// [`Db::transaction`].
    ///
    /// # Errors
    /// `Away`, with `uncertain: false` if no connection became free or none could be opened, or after [`Db::close`];
    /// with `uncertain: true` if the session ended or the database fell silent. And those of the work.
    pub async fn run<T, E: Into<Error>>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> std::result::Result<T, E>,
    ) -> Result<T> {
        let mut lease = self.pool.lease(&self.options).await?;
        let result = answer_of(async { work(lease.connection()).await.map_err(Into::into) }).await;
        lease.release(result).await
    }

    /// Works in a transaction, and commits it or awaits its rollback, whatever becomes of the work: no lock stays on
    /// a connection that lies idle. Work that is abandoned takes its connection with it, which ends the transaction.
    ///
    /// # Errors
    /// As [`Db::run`].
    pub async fn transaction<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<End<T>>,
    ) -> Result<T> {
        let mut lease = self.pool.lease(&self.options).await?;
        let result = answer_of(async {
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
                    // If this fails, too, its error counts: it says that the connection must not be used again.
                    tx.rollback().await?;
                    Err(error)
                }
            }
        })
        .await;
        lease.release(result).await
    }

    /// Closes the connections that nobody needs.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    /// Waits until no work is on its way, and holds back further work until the answer is dropped. Returns `None`
    /// after [`Db::close`].
    pub async fn pause(&self) -> Option<SemaphorePermit<'_>> {
        self.pool.pause().await
    }

    /// Hands out no more connections, and closes the idle ones.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

async fn answer_of<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    // Work that is dropped in the middle leaves an answer unread on its connection: `uncertain` keeps that from being
    // reused.
    match timeout(RESPONSE_TIMEOUT, work).await {
        Ok(result) => result,
        Err(elapsed) => Err(Error::Away {
            uncertain: true,
            source: elapsed.into(),
        }),
    }
}

/// Maximum connections that the database allows this role.
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
