//! A migration beside sessions that hold locks, such as a backup.

use parlance::store::{self, Db};
use sqlx::{ConnectOptions, Connection, PgConnection, migrate::Migrator};

use crate::world::{empty_database, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_waits_for_a_backup_lets_others_read_meanwhile() {
    let options = empty_database().await;
    let mut db = PgConnection::connect_with(&options).await.unwrap();
    // The next one changes a table.
    let before: Vec<_> = store::MIGRATIONS
        .iter()
        .filter(|migration| migration.version < 28)
        .cloned()
        .collect();
    Migrator::with_migrations(before)
        .run(&mut db)
        .await
        .unwrap();
    let mut backup = options.connect().await.unwrap();
    sqlx::raw_sql("begin; lock table epochs in access share mode")
        .execute(&mut backup)
        .await
        .unwrap();
    let store = Db::new(options.clone(), 1);
    let others = async {
        eventually("a migration that waits", async || {
            let waits = "select exists (
                select from pg_locks where relation = 'epochs'::regclass and not granted
            )";
            sqlx::query_scalar::<_, bool>(waits)
                .fetch_one(&mut db)
                .await
                .unwrap()
        })
        .await;
        // A node of the release before goes on: this waits behind the migration, and that not for the backup.
        sqlx::raw_sql("set lock_timeout = '30s'; select from epochs")
            .execute(&mut db)
            .await
            .unwrap();
        backup.close().await.unwrap();
    };
    let (migrated, ()) = tokio::join!(store::migrate(&store), others);
    migrated.unwrap();
    assert!(store::is_current(&store).await.unwrap());
}
