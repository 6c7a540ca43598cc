//! The schema: its migrations, and which of them a database has.

use sqlx::{
    ConnectOptions, Connection,
    migrate::{MigrateError, Migrator},
};

use super::{Db, error::Result, sqlstate, user};

/// The migrations of the schema, applied in order, forward only.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

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
    /// Names that an earlier release stored could not be compared.
    #[error("the database cannot be brought up to date")]
    Skeletons(#[source] sqlx::Error),
    /// A migration failed.
    #[error("the database cannot be migrated")]
    Failed(#[source] MigrateError),
}

/// Migrates the database to this binary's schema, under a lock, so that several nodes may start at
/// once.
///
/// # Errors
/// The database was migrated by a newer Parlance, or its migrations were edited: it is refused,
/// untouched.
pub async fn migrate(db: &Db) -> std::result::Result<(), MigrationError> {
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
    let result = MIGRATIONS.run(&mut connection).await;
    if result.is_ok() {
        user::fill_skeletons(&mut connection)
            .await
            .map_err(MigrationError::Skeletons)?;
    }
    // A connection that cannot be closed cleanly is gone nevertheless.
    let _ = connection.close().await;
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
