//! Summarizes a database table by table in one snapshot: stored in a backup's manifest, and
//! compared after a restore.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, Row};

use super::Db;

/// A summary of a table's contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Number of rows.
    pub rows: i64,
    /// A sum over all rows' MD5, whatever their order.
    pub checksum: String,
}

/// Summaries of all tables, by name.
pub type Tables = BTreeMap<String, Table>;

/// A snapshot of a database, for as long as it is held.
#[derive(Debug)]
pub struct Snapshot {
    connection: PgConnection,
    /// Its id, for `pg_dump --snapshot`.
    pub id: String,
    /// PostgreSQL's version, as 15.18.
    pub postgres: String,
    /// The newest migration. `None` if no Parlance has used this database.
    pub migration: Option<i64>,
}

impl Snapshot {
    /// Takes a snapshot of the present moment. Writers are not blocked.
    pub async fn take(db: &Db) -> sqlx::Result<Self> {
        // A connection of its own: the snapshot ends with the transaction that exported it.
        let mut connection = db.maintenance_options().connect().await?;
        // `repeatable read`: `pg_dump` accepts only the snapshot of such a transaction, and the checksums must see
        // that same one.
        sqlx::raw_sql("begin isolation level repeatable read read only")
            .execute(&mut connection)
            .await?;
        let row = sqlx::query!(
            r#"select pg_export_snapshot() as "id!", split_part(current_setting('server_version'), ' ', 1) as "postgres!",
                      to_regclass('public._sqlx_migrations') is not null as "is_ours!""#
        )
        .fetch_one(&mut connection)
        .await?;
        let migration = if row.is_ours {
            sqlx::query_scalar!("select max(version) from _sqlx_migrations where success")
                .fetch_one(&mut connection)
                .await?
        } else {
            None
        };
        Ok(Self {
            connection,
            id: row.id,
            postgres: row.postgres,
            migration,
        })
    }

    /// Summarizes each table.
    pub async fn tables(&mut self) -> sqlx::Result<Tables> {
        let names = sqlx::query_scalar!(
            r#"select format('%I.%I', schemaname, tablename) as "name!" from pg_tables
            where schemaname !~ '^pg_' and schemaname <> 'information_schema' order by 1"#
        )
        .fetch_all(&mut self.connection)
        .await?;
        let mut tables = Tables::new();
        for name in names {
            // A sum, because rows come in any order: 60 bits per row, to stay within bigint.
            let query = format!(
                "select count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text from {name} t"
            );
            // Safe, as PostgreSQL itself quoted the name (`%I`). A table's name cannot be a
            // parameter.
            let row = sqlx::raw_sql(AssertSqlSafe(query))
                .fetch_one(&mut self.connection)
                .await?;
            tables.insert(
                name,
                Table {
                    rows: row.try_get(0)?,
                    checksum: row.try_get(1)?,
                },
            );
        }
        Ok(tables)
    }

    /// Ends the snapshot.
    pub async fn release(self) -> sqlx::Result<()> {
        self.connection.close().await
    }
}
