//! PostgreSQL: the only layer with SQL. Every statement is checked at build time, and every read
//! names its reader. Statements of more than 25 lines are in `sql/`, except for those that share
//! text, which are macros.

mod admission;
pub mod audit;
pub mod backup;
pub(crate) mod batcher;
pub(crate) mod block;
pub(crate) mod card;
pub(crate) mod conversation;
pub mod credential;
mod db;
pub mod deletion;
pub mod doctor;
pub mod embedded;
pub(crate) mod epoch;
pub(crate) mod erase;
pub mod erasure;
pub mod error;
pub(crate) mod export;
pub mod file;
pub(crate) mod friend;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod invitation;
pub mod invite;
pub(crate) mod key_log;
pub mod list;
pub(crate) mod message;
pub mod notice;
pub mod oversight;
pub(crate) mod participant;
pub mod presence;
pub mod probe;
pub(crate) mod profile;
pub mod purge;
pub(crate) mod push;
pub(crate) mod quota;
pub mod registration;
pub(crate) mod report;
pub(crate) mod reset;
mod retire;
pub(crate) mod rows;
pub mod seed;
mod sqlstate;
pub(crate) mod station;
pub(crate) mod transcript;
pub mod usage;
pub mod user;
pub mod user_limits;
pub mod user_list;
pub(crate) mod vault;
pub(crate) mod workspace;

use sqlx::{
    ConnectOptions, Connection,
    migrate::{MigrateError, Migrator},
};

use self::error::Result;

pub use self::db::{COMMIT_SETTLED_AFTER, Db, End, session_options};

/// The migrations of the schema, applied in order, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Migrates the database to this binary's schema, under a lock, so that several nodes may start at
/// once.
///
/// # Errors
/// The database was migrated by a newer Parlance, or its migrations were edited: it is refused,
/// untouched.
pub async fn migrate(db: &Db) -> std::result::Result<(), String> {
    let away = |error: sqlx::Error| format!("the database cannot be reached: {error}");
    // On a connection of its own: changing a large table takes longer than a request's statement
    // may.
    let mut connection = db.maintenance_options().connect().await.map_err(away)?;
    // Before sessions set the search path themselves, a role's own could lead to another schema.
    // Such a database must not look like an empty one.
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
    if result.is_ok() {
        user::fill_skeletons(&mut connection)
            .await
            .map_err(|error| format!("the database cannot be brought up to date: {error}"))?;
    }
    // A connection that cannot be closed cleanly is gone all the same.
    let _ = connection.close().await;
    result.map_err(|error| match error {
        MigrateError::VersionMissing(version) => format!(
            "the database is newer than this Parlance: it has migration {version}, which this binary does not know; start a newer Parlance"
        ),
        MigrateError::VersionMismatch(version) => {
            format!("migration {version} of the database is not the one that this binary knows; nothing was changed")
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if sqlstate::is_forbidden(&error) =>
        {
            format!(
                "this role may not create tables in the database: {error}. Make it the database's owner: alter database ... owner to ..."
            )
        }
        other => format!("the database cannot be migrated: {other}"),
    })
}

/// The tables of a database, compared with what this binary knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// There are none.
    Missing,
    /// Migrations are missing.
    Older,
    /// They are as this binary makes them.
    Current,
    /// They have migrations that this binary does not know.
    Newer,
}

/// Compares the tables with what this binary knows, and changes nothing.
///
/// # Errors
/// The database is away.
pub async fn schema(db: &Db) -> Result<Schema> {
    db.run(async |c| {
        let has_tables = sqlx::query_scalar!(
            r#"select to_regclass('public._sqlx_migrations') is not null as "has_tables!""#
        )
        .fetch_one(&mut *c)
        .await?;
        if !has_tables {
            return Ok::<_, sqlx::Error>(Schema::Missing);
        }
        let applied = sqlx::query_scalar!("select version from _sqlx_migrations where success")
            .fetch_all(c)
            .await?;
        let knows = |version: &i64| MIGRATIONS.iter().any(|known| known.version == *version);
        Ok(if !applied.iter().all(knows) {
            Schema::Newer
        } else if applied.len() < MIGRATIONS.iter().count() {
            Schema::Older
        } else {
            Schema::Current
        })
    })
    .await
}

/// Returns `true` if the database has all migrations that this binary knows.
///
/// # Errors
/// The database is away.
pub async fn is_current(db: &Db) -> Result<bool> {
    let newest = MIGRATIONS.iter().map(|m| m.version).max();
    let applied = db
        .run(async |c| {
            sqlx::query_scalar!("select max(version) from _sqlx_migrations where success")
                .fetch_one(c)
                .await
        })
        .await?;
    // A newer schema is fine: in a rolling upgrade, another node has migrated while this one still
    // serves.
    Ok(applied >= newest)
}
