//! The PostgreSQL of all tests, and the databases in it.

use std::{
    path::PathBuf,
    str::FromStr,
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
};

use parlance::store;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use super::settings;

/// A single PostgreSQL for all tests, started by the code for the embedded one. It runs in a thread
/// of its own, and ends with the process.
static CLUSTER: LazyLock<PgConnectOptions> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            clean_up();
            let mut settings = settings();
            settings.data_dir =
                std::env::temp_dir().join(format!("{DIRECTORY}{}", std::process::id()));
            settings.database_connections = 300;
            settings.postgres_settings = SETTINGS.map(Into::into).to_vec();
            let (db, embedded) = store::embedded::open(&settings).await.unwrap();
            store::migrate(&db).await.unwrap();
            db.close().await;
            let embedded = embedded.unwrap();
            sender
                .send(PgConnectOptions::from_str(embedded.url()).unwrap())
                .unwrap();
            std::future::pending::<()>().await;
        });
    });
    receiver.recv().unwrap()
});

/// The cluster is deleted after the run, so nothing has to survive a crash of the machine. Autovacuum
/// would start a worker for each of its hundreds of databases every minute.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=256MB",
    "max_wal_size=4GB",
    "checkpoint_timeout=1h",
    "autovacuum_naptime=1h",
];

const DIRECTORY: &str = "parlance-test-";

/// Removes the directories of earlier runs, whose PostgreSQL ended after them.
fn clean_up() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
        let is_old = entry.file_name().to_string_lossy().starts_with(DIRECTORY)
            && std::fs::File::open(entry.path().join("lock"))
                .is_ok_and(|lock| lock.try_lock().is_ok());
        if is_old && !entry.path().join("postgres/postmaster.pid").exists() {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A database for one test, created from the migrated template.
pub(crate) async fn database() -> PgConnectOptions {
    copy_of("parlance").await
}

/// An empty database for one test.
pub(crate) async fn empty_database() -> PgConnectOptions {
    copy_of("template0").await
}

async fn copy_of(template: &str) -> PgConnectOptions {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let cluster = &*CLUSTER;
    let mut admin = PgConnection::connect_with(&cluster.clone().database("postgres"))
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!(
        "create database {name} template {template}"
    )))
    .execute(&mut admin)
    .await
    .unwrap();
    cluster.clone().database(&name)
}

/// The process id of the test cluster's postmaster.
pub(crate) fn postmaster() -> i32 {
    let file = socket_dir()
        .with_file_name("postgres")
        .join("postmaster.pid");
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

/// The directory of the test cluster's socket.
pub(crate) fn socket_dir() -> PathBuf {
    CLUSTER.get_socket().cloned().unwrap()
}
