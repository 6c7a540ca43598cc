//! The schema: its migrations, and which of them a database has.

use std::time::Duration;

use sqlx::{
    ConnectOptions, Connection, PgConnection,
    migrate::{MigrateError, Migrator},
};

use super::{Db, error::Result, sqlstate, user};

/// The migrations of the schema, applied in order, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// Delay before a migration that got no lock is tried again. Meanwhile the other nodes serve.
const RETRY_DELAY: Duration = Duration::from_secs(5);
/// Maximum attempts: about a quarter of an hour.
const MAX_ATTEMPTS: u32 = 130;

/// The reasons why a database cannot be migrated. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database is away.
    #[error("the database cannot be reached")]
    Away(#[source] sqlx::Error),
    /// The tables are in this schema: it is not an empty database.
    #[error(
        "Parlance's tables are in the schema {0}, and belong into public; nothing was changed. Move them with: drop schema public; alter schema {0} rename to public"
    )]
    OtherSchema(String),
    /// The database has this migration, of a newer Parlance.
    #[error(
        "the database is newer than this Parlance: it has migration {0}, which this binary does not know; start a newer Parlance"
    )]
    Newer(i64),
    /// This migration was another one when the database had it.
    #[error(
        "migration {0} of the database is not the one that this binary knows; nothing was changed"
    )]
    Edited(i64),
    /// The role may not create tables.
    #[error(
        "this role may not create tables in the database: {0}. Make it the database's owner: alter database ... owner to ..."
    )]
    Forbidden(sqlx::Error),
    /// Another session holds a lock that a migration needs.
    #[error(
        "the database cannot be migrated while other sessions hold its locks, the longest of them {0}; start again when they have ended"
    )]
    Locked(String),
    /// Names that an earlier release stored could not be compared.
    #[error("the database cannot be brought up to date")]
    Skeletons(#[source] sqlx::Error),
    /// A migration failed.
    #[error("the database cannot be migrated")]
    Failed(#[source] MigrateError),
}

/// Migrates the database to this binary's schema, under a lock, so that several nodes may start at
/// once. A migration that has to wait long for another session, such as a backup, is tried again
/// later: while it waits, everyone else waits behind it.
///
/// # Errors
/// The database was migrated by a newer Parlance, or its migrations were edited: it is refused,
/// untouched.
pub async fn migrate(db: &Db) -> std::result::Result<(), MigrationError> {
    let mut attempt = 1;
    loop {
        match try_to_migrate(db).await {
            Err(MigrationError::Locked(holder)) if attempt < MAX_ATTEMPTS => {
                tracing::warn!(
                    attempt,
                    "the database cannot be migrated yet, because another session holds a lock; the longest transaction is \
                     {holder}; trying again in {} s",
                    RETRY_DELAY.as_secs()
                );
            }
            result => return result,
        }
        attempt += 1;
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

async fn try_to_migrate(db: &Db) -> std::result::Result<(), MigrationError> {
    let away = MigrationError::Away;
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
        return Err(MigrationError::OtherSchema(schema));
    }
    // While a migration waits for a lock, whoever needs that table waits behind it.
    sqlx::query!("set lock_timeout = '2s'")
        .execute(&mut connection)
        .await
        .map_err(away)?;
    let result = MIGRATIONS.run(&mut connection).await;
    if result.is_ok() {
        // From here on only rows are locked.
        sqlx::query!("set lock_timeout = 0")
            .execute(&mut connection)
            .await
            .map_err(away)?;
        user::fill_skeletons(&mut connection)
            .await
            .map_err(MigrationError::Skeletons)?;
    }
    let longest = match &result {
        Err(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _))
            if sqlstate::is_locked(error) =>
        {
            Some(longest_transaction(&mut connection).await.map_err(away)?)
        }
        _ => None,
    };
    // Closed before the next attempt, as it holds the lock that other nodes would wait for. A connection that cannot be
    // closed cleanly is gone nevertheless.
    let _ = connection.close().await;
    if let Some(longest) = longest {
        return Err(MigrationError::Locked(longest));
    }
    result.map_err(|error| match error {
        MigrateError::VersionMissing(version) => MigrationError::Newer(version),
        MigrateError::VersionMismatch(version) => MigrationError::Edited(version),
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)
            if sqlstate::is_forbidden(&error) =>
        {
            MigrationError::Forbidden(error)
        }
        other => MigrationError::Failed(other),
    })
}

/// The longest transaction of another session, for the operator.
async fn longest_transaction(c: &mut PgConnection) -> sqlx::Result<String> {
    let longest = sqlx::query_scalar!(
        r#"select format('that of process %s (%s), for %s s', pid, coalesce(nullif(application_name, ''), usename, 'unknown'),
                ceil(extract(epoch from clock_timestamp() - xact_start)))
        from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null
        order by xact_start limit 1"#
    )
    .fetch_optional(c)
    .await?;
    // It may have ended just now.
    Ok(longest.flatten().unwrap_or_else(|| "over now".to_owned()))
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
