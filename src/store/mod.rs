//! PostgreSQL: the only floor where SQL stands. Every statement is checked at build time, and
//! every read says for whom it reads.

pub mod block;
pub mod conversation;
pub mod embedded;
pub mod friend;
pub mod history;
pub mod invite;
pub mod message;
pub mod participant;
pub mod purge;
pub mod report;
pub mod station;
pub mod user;
pub mod workspace;

use std::time::Duration;

use sqlx::{
    ConnectOptions, PgPool,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

/// What the database must look like. Applied in order, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// How long a request waits for a connection before it is told that the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that lay idle for longer is asked whether it lives before it is used. A younger one
/// is not: that would be a second round trip for every request.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);
/// A statement slower than this is logged (its text, never its values).
const SLOW: Duration = Duration::from_secs(1);
/// No request needs longer; a statement that takes it is stopped rather than left to pile up.
const STATEMENT_TIMEOUT: &str = "30s";

/// A pool of at most `connections` to the database; none is opened yet.
#[must_use]
pub fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    let options = options
        .application_name("parlance")
        .options([("statement_timeout", STATEMENT_TIMEOUT), ("timezone", "UTC")])
        .log_statements(log::LevelFilter::Off)
        .log_slow_statements(log::LevelFilter::Warn, SLOW);
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < TRUSTED_IDLE {
                    return Ok(true);
                }
                Ok(sqlx::Connection::ping(connection).await.is_ok())
            })
        })
        .connect_lazy_with(options)
}

/// Brings the database to what this binary needs, under a lock, so that several nodes may start at
/// once.
///
/// # Errors
/// A database that a newer Parlance has migrated, or whose migrations were edited: refused,
/// untouched.
pub async fn migrate(db: &PgPool) -> Result<(), String> {
    // Building an index on a large table may well take longer than a request's statement.
    let mut connection = db.acquire().await.map_err(|e| format!("the database cannot be reached: {e}"))?;
    sqlx::query!("set statement_timeout = 0").execute(&mut *connection).await.map_err(|e| e.to_string())?;
    let result = MIGRATIONS.run(&mut *connection).await;
    // The setting goes with the connection.
    connection.detach();
    result.map_err(|error| match error {
        MigrateError::VersionMissing(version) => format!(
            "the database is newer than this Parlance: it has migration {version}, which this binary does not know; start a newer Parlance"
        ),
        MigrateError::VersionMismatch(version) => {
            format!("migration {version} of the database is not the one that this binary knows; nothing was changed")
        }
        other => format!("the database cannot be migrated: {other}"),
    })
}

/// Whether the database answers and has had every migration that this binary knows.
pub async fn is_current(db: &PgPool) -> sqlx::Result<bool> {
    let newest = MIGRATIONS.iter().map(|m| m.version).max();
    let applied = sqlx::query_scalar!("select max(version) from _sqlx_migrations where success").fetch_one(db).await?;
    Ok(applied >= newest)
}

/// Whether an error is the refusal of this constraint.
#[must_use]
pub fn refused_by(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(|e| e.constraint()) == Some(constraint)
}
