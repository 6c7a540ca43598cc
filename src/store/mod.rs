//! PostgreSQL: the only floor where SQL stands. Every statement is checked at build time, and
//! every read says for whom it reads.

mod admission;
pub mod backup;
pub(crate) mod batcher;
pub(crate) mod block;
pub(crate) mod conversation;
mod db;
pub mod doctor;
pub mod embedded;
pub(crate) mod friend;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod invitation;
pub mod invite;
pub(crate) mod message;
pub(crate) mod participant;
pub mod presence;
pub mod probe;
pub mod purge;
pub(crate) mod quota;
pub(crate) mod report;
pub(crate) mod rows;
pub mod seed;
pub(crate) mod sqlstate;
pub(crate) mod station;
pub(crate) mod transcript;
pub mod user;
pub(crate) mod workspace;

use sqlx::{
    ConnectOptions, Connection,
    migrate::{MigrateError, Migrator},
};

pub use self::db::{COMMIT_SETTLED_AFTER, Db, session_options};

/// What the database must look like. Applied in order, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Brings the database to what this binary needs, under a lock, so that several nodes may start at
/// once.
///
/// # Errors
/// A database that a newer Parlance has migrated, or whose migrations were edited: refused,
/// untouched.
pub async fn migrate(db: &Db) -> Result<(), String> {
    let away = |error: sqlx::Error| format!("the database cannot be reached: {error}");
    // A connection of its own: what is done to a large table takes longer than a request's statement, and reads all of it.
    let mut connection = db.maintenance_options().connect().await.map_err(away)?;
    // Where a role's search path led elsewhere once, nobody is to find an empty database.
    let elsewhere = sqlx::query_scalar!(
        r#"select schemaname as "schema!" from pg_tables
        where tablename in ('_sqlx_migrations', 'conversations', 'participants') and to_regclass('public._sqlx_migrations') is null
        group by schemaname having count(*) = 3"#
    )
    .fetch_optional(&mut connection)
    .await
    .map_err(away)?;
    if let Some(schema) = elsewhere {
        return Err(format!(
            "Parlance's tables are in the schema {schema}, and belong into public; nothing was changed. Move them with: drop schema public; alter schema {schema} rename to public"
        ));
    }
    let result = MIGRATIONS.run(&mut connection).await;
    // One that cannot say goodbye is gone all the same.
    let _ = connection.close().await;
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
pub async fn is_current(db: &Db) -> sqlx::Result<bool> {
    let newest = MIGRATIONS.iter().map(|m| m.version).max();
    let applied = db
        .run(async |c| {
            sqlx::query_scalar!("select max(version) from _sqlx_migrations where success")
                .fetch_one(c)
                .await
        })
        .await?;
    Ok(applied >= newest)
}

/// A statement answered what it cannot answer. What it did may be committed, so everyone has to compare everything.
pub(crate) fn impossible(what: &str) -> sqlx::Error {
    sqlx::Error::Protocol(format!(
        "a statement answered what it cannot answer: {what}"
    ))
}

/// Whether an error is the refusal of this constraint.
#[must_use]
pub fn refused_by(error: &sqlx::Error, constraint: &str) -> bool {
    error.as_database_error().and_then(|e| e.constraint()) == Some(constraint)
}
