//! A PostgreSQL of our own, for trying out and for one-machine installations: as safe as any other.
//! It listens on a Unix socket in a private directory only; fsync and checksums are on; its data is
//! never deleted, and never touched by binaries of another major version.
//!
//! It runs under a shell that holds the other end of a pipe: when this process ends, in whatever way,
//! the pipe closes and the shell shuts PostgreSQL down cleanly.

mod cluster;
mod lock;
mod place;
mod programs;
mod supervise;

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::{place::Place, programs::Programs, supervise::Supervisor};
use super::{Db, db};
use crate::settings::{Database, Settings};

/// The role and the database that Parlance uses.
const NAME: &str = "parlance";
/// How long the previous server on this data may take to end.
const PREDECESSOR: Duration = Duration::from_mins(1);
/// How long a connection from the command line waits for a server that is starting.
const STARTING: Duration = Duration::from_secs(30);
/// How long a shutdown may take before it is left to the pipe.
const STOPPING: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(20);
/// How often a server's PostgreSQL is compared with the programs on disk.
const CHECK_EVERY: Duration = Duration::from_mins(1);
/// A command makes do with so many connections.
const OF_A_COMMAND: u32 = 2;
/// What a server leaves of a database's connections to a command beside it: a backup takes so many.
const OF_COMMANDS: u32 = 3;

/// A PostgreSQL that runs as long as this is held.
pub struct Embedded {
    url: String,
    supervisor: Arc<Supervisor>,
    watch: JoinHandle<()>,
    /// Held as long as the data is ours.
    _lock: File,
}

/// The database that the settings name, for a server: the operator's, or ours, started.
///
/// # Errors
/// One sentence for a person.
pub async fn open(settings: &Settings) -> Result<(Db, Option<Embedded>), String> {
    match &settings.database {
        Database::Given(options) => {
            let connections = allowed(options, settings.database_connections).await?;
            Ok((Db::new((**options).clone(), connections), None))
        }
        Database::Embedded => {
            let (db, embedded) = start(settings, Some(CHECK_EVERY)).await?;
            Ok((db, Some(embedded)))
        }
    }
}

/// How many connections of those that are wished a database leaves us, beside the one that hears of changed users, and
/// those of commands.
///
/// # Errors
/// One sentence: the database cannot be asked, or leaves too few.
async fn allowed(options: &PgConnectOptions, wished: u32) -> Result<u32, String> {
    let needed = wished + 1;
    let limit = db::connection_limit(&Db::new(options.clone(), 1)).await;
    let limit = limit.map_err(|error| format!("the database cannot be reached: {error}"))?;
    let limit = u32::try_from(limit)
        .map_err(|error| format!("the database allows {limit} connections: {error}"))?;
    if limit < 2 {
        return Err(format!(
            "the database allows {limit} connection{} to this role, and a server needs at least 2: raise the limit of the role (alter role ... connection limit), of the database or of the server",
            if limit == 1 { "" } else { "s" }
        ));
    }
    if limit >= needed + OF_COMMANDS {
        tracing::debug!(
            "this node opens up to {needed} connections to the database (DATABASE_CONNECTIONS and one)"
        );
        return Ok(wished);
    }
    let allowed = limit.saturating_sub(1 + OF_COMMANDS).max(1);
    tracing::warn!(
        "the database allows {limit} connections, and this node wants {needed} (DATABASE_CONNECTIONS and one) beside {OF_COMMANDS} for commands: it makes do with {}. Raise the role's, the database's or the server's limit, or lower DATABASE_CONNECTIONS",
        allowed + 1
    );
    Ok(allowed)
}

/// The database, for as long as the command line needs it.
pub struct Joined {
    /// The connections to it.
    pub db: Db,
    /// Ours, if we had to start it.
    embedded: Option<Embedded>,
    /// While we have joined another command's, it is not to end.
    guest: Option<File>,
}

/// As [`open`], but if a server or another command runs on the embedded data already, a connection to its
/// database: for the command line.
///
/// # Errors
/// One sentence for a person.
pub async fn join(settings: &Settings) -> Result<Joined, String> {
    let deadline = Instant::now() + STARTING;
    loop {
        if let Database::Given(options) = &settings.database {
            return Ok(Joined {
                db: Db::new((**options).clone(), OF_A_COMMAND),
                embedded: None,
                guest: None,
            });
        }
        if lock::lock(&settings.data_dir)?.is_some() {
            match start(settings, None).await {
                // Another command was quicker.
                Err(_) if lock::lock(&settings.data_dir)?.is_none() => {}
                result => {
                    return result.map(|(db, embedded)| Joined {
                        db,
                        embedded: Some(embedded),
                        guest: None,
                    });
                }
            }
        }
        let guest = lock::guest_book(&settings.data_dir)?;
        let options = Place::of(&settings.data_dir)?.options();
        if guest.try_lock_shared().is_ok() && options.connect().await.is_ok() {
            return Ok(Joined {
                db: Db::new(options, OF_A_COMMAND),
                embedded: None,
                guest: Some(guest),
            });
        }
        if Instant::now() > deadline {
            return Err(format!(
                "a server holds {}, but its database does not answer",
                settings.data_dir.display()
            ));
        }
        drop(guest);
        sleep(POLL).await;
    }
}

impl Joined {
    /// Goes. A database that we started ends, once those who joined it have gone.
    pub async fn leave(self) {
        self.db.close().await;
        drop(self.guest);
        if let Some(embedded) = self.embedded {
            let _closed = lock::see_guests_off(&embedded.supervisor.data_dir, STARTING).await;
            embedded.stop().await;
        }
    }
}

/// Makes the cluster if there is none, and starts PostgreSQL on it. Every so often, if that is given, it is compared with
/// the programs on disk, and restarted when those were replaced.
///
/// # Errors
/// One sentence: no binaries, another server on the data, another major version.
pub async fn start(
    settings: &Settings,
    check_every: Option<Duration>,
) -> Result<(Db, Embedded), String> {
    let held = lock::patient_lock(&settings.data_dir).await?.ok_or_else(|| {
        format!("another server, or a command, runs on {}; stop it first, or give this one another DATA_DIR", settings.data_dir.display())
    })?;
    let place = Place::of(&settings.data_dir)?;
    let version = cluster::version(&place.data)?;
    let programs = Programs::find(settings.pg_bin.as_deref(), version.as_deref())?;
    cluster::check_version(version.as_deref(), &programs)?;
    place.prepare()?;
    if version.is_none() {
        cluster::make(&place, &programs).await?;
    }
    cluster::await_predecessor(&place, PREDECESSOR).await?;

    let options = place.options();
    let (url, connections) = (place.url(), settings.database_connections);
    let db = Db::new(options.clone(), connections);
    let supervisor = Arc::new(Supervisor {
        place,
        data_dir: settings.data_dir.clone(),
        pg_bin: settings.pg_bin.clone(),
        db: db.clone(),
        connections,
        check_every,
        is_stopping: AtomicBool::new(false),
        stop: Notify::new(),
    });
    let mut child = supervisor
        .spawn(programs)
        .map_err(|error| format!("PostgreSQL cannot be started: {error}"))?;
    supervisor.await_ready(&mut child).await?;
    let watch = tokio::spawn(supervisor.clone().watch(child));
    let embedded = Embedded {
        url,
        supervisor,
        watch,
        _lock: held,
    };
    cluster::ensure_database(&options).await?;
    Ok((db, embedded))
}

impl Embedded {
    /// Its address, as `psql`, `pg_dump` and `sqlx migrate` take it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Shuts it down cleanly.
    pub async fn stop(self) {
        self.supervisor.is_stopping.store(true, Ordering::Release);
        self.supervisor.stop.notify_one();
        if tokio::time::timeout(STOPPING, self.watch).await.is_err() {
            tracing::warn!("PostgreSQL takes long to stop; it ends by itself");
        }
    }
}

/// The embedded database's address, whether it runs or not.
///
/// # Errors
/// One sentence for a person.
pub fn url(settings: &Settings) -> Result<String, String> {
    Ok(Place::of(&settings.data_dir)?.url())
}

/// A program of the PostgreSQL that the embedded data belongs to.
///
/// # Errors
/// A sentence with the install command, if there is none.
pub fn program(settings: &Settings, name: &str) -> Result<PathBuf, String> {
    let version = cluster::version(&settings.data_dir.join("postgres"))?;
    Ok(Programs::find(settings.pg_bin.as_deref(), version.as_deref())?.path(name))
}
