//! A PostgreSQL of our own, for trying out and for one-machine installations, as safe as any other.
//! It only listens on a Unix socket in a private directory; fsync and checksums are on; its data is
//! never deleted, and never touched by binaries of another major version.
//!
//! It runs under a shell that holds the other end of a pipe: however this process ends, the pipe
//! closes, and the shell shuts PostgreSQL down cleanly.

mod attach;
mod cluster;
mod connections;
mod error;
mod lock;
mod owner;
mod paths;
mod postmaster;
mod predecessor;
mod programs;
mod supervise;
mod upgrade;

use std::{
    fs::File,
    path::PathBuf,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinHandle};

pub use self::{
    attach::{Attached, IfMissing, attach},
    error::Error,
};
use self::{paths::ClusterPaths, programs::Programs, supervise::Supervisor};
use super::{Db, db};
use crate::settings::{Database, Settings};

/// The name of the role and of the database.
const NAME: &str = "parlance";
/// How long a starting server waits for a command that holds the data before it reports another
/// server.
const LOCK_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum time for the previous PostgreSQL on this data to end.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum time for a shutdown before it is left to the pipe; service managers give ten seconds.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(20);
/// How often a server compares its PostgreSQL with the programs on disk.
const CHECK_EVERY: Duration = Duration::from_mins(1);

/// A PostgreSQL that runs until this is dropped.
pub struct Embedded {
    url: String,
    supervisor: Arc<Supervisor>,
    watch: JoinHandle<()>,
    /// Held as long as this process owns the data.
    _lock: File,
}

/// Opens the database that the settings name, for a server: the operator's, or the embedded one,
/// which is started.
///
/// # Errors
/// There is no database, or it is in use.
pub async fn open(settings: &Settings) -> Result<(Db, Option<Embedded>), Error> {
    match &settings.database {
        Database::Given(options) => {
            let connections =
                connections::affordable(options, settings.database_connections).await?;
            let timings = settings.timings.database;
            let db = Db::with_timings((**options).clone(), connections, timings);
            Ok((db, None))
        }
        Database::Embedded => {
            let (db, embedded) = start(settings, Some(CHECK_EVERY)).await?;
            Ok((db, Some(embedded)))
        }
    }
}

/// Creates the cluster if there is none, and starts PostgreSQL on it. With `check_every`, it is
/// compared with the programs on disk that often, and restarted when they were replaced.
///
/// # Errors
/// No programs, another server on the data, another major version.
pub async fn start(
    settings: &Settings,
    check_every: Option<Duration>,
) -> Result<(Db, Embedded), Error> {
    let lock = lock::lock_timeout(&settings.data_dir, LOCK_TIMEOUT).await?;
    let lock = lock.ok_or_else(|| Error::InUse {
        data_dir: settings.data_dir.clone(),
    })?;
    run(settings, lock, check_every).await
}

/// Like [`start`], when the data is already locked for this process.
async fn run(
    settings: &Settings,
    lock: File,
    check_every: Option<Duration>,
) -> Result<(Db, Embedded), Error> {
    let paths = ClusterPaths::of(&settings.data_dir)?;
    // Checked before anything is created, so that unusable data is not touched.
    let version = cluster::version(&paths.data)?;
    let programs = Programs::find(settings.pg_bin.clone(), version.clone()).await?;
    cluster::check_version(version.as_deref(), &programs)?;
    paths.prepare().await?;
    if version.is_none() {
        cluster::create(&paths, &programs).await?;
    }
    predecessor::wait(&paths, PREDECESSOR_TIMEOUT).await?;

    let (options, url) = (paths.options(), paths.url());
    let connections = settings.database_connections;
    let supervisor = Arc::new(Supervisor {
        paths,
        data_dir: settings.data_dir.clone(),
        pg_bin: settings.pg_bin.clone(),
        db: Db::with_timings(options.clone(), connections, settings.timings.database),
        connections,
        settings: settings.postgres_settings.clone(),
        check_every,
        stopping: AtomicBool::new(false),
        stop: Notify::new(),
    });
    let mut postmaster = supervisor.spawn(programs)?;
    postmaster.wait_until_ready(&options).await?;
    // Before the database is created, so that a PostgreSQL that exits meanwhile is restarted.
    let embedded = Embedded {
        url,
        watch: tokio::spawn(supervisor.clone().watch(postmaster)),
        supervisor,
        _lock: lock,
    };
    cluster::ensure_database(&options).await?;
    // The supervisor's own pool: it pauses during a restart, so that requests wait instead of
    // failing.
    Ok((embedded.supervisor.db.clone(), embedded))
}

impl Embedded {
    /// Its URL for `psql`, `pg_dump` and `sqlx migrate`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shuts it down cleanly.
    pub async fn stop(self) {
        self.supervisor.request_stop();
        if tokio::time::timeout(STOP_TIMEOUT, self.watch)
            .await
            .is_err()
        {
            tracing::warn!("PostgreSQL takes long to stop; it ends by itself");
        }
    }
}

/// The embedded database's URL, whether or not it runs.
///
/// # Errors
/// There is no user to run it as.
pub fn url(settings: &Settings) -> Result<String, Error> {
    Ok(ClusterPaths::of(&settings.data_dir)?.url())
}

/// The path of a program, of the PostgreSQL version that the embedded data belongs to.
///
/// # Errors
/// The programs are not installed.
pub async fn program(settings: &Settings, name: &str) -> Result<PathBuf, Error> {
    let version = cluster::version(&settings.data_dir.join("postgres"))?;
    let programs = Programs::find(settings.pg_bin.clone(), version).await?;
    Ok(programs.path(name))
}
