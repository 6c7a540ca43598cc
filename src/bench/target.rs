//! The target: the server that is measured, either a scratch server with a database of its own or a
//! running one.

use std::{
    ffi::OsStr,
    fs,
    net::{SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::postgres::PgConnectOptions;
use tokio::{process::Child, sync::Mutex, time::timeout};
use url::Url;

use super::{
    options::Bench,
    scratch::{UNLIMITED, await_ready, free_address, scratch_directory, serve},
};
use crate::{
    settings::{Database, Settings},
    store::{self, Db},
    telemetry::with_causes,
};

/// Maximum time for a scratch server to create its database and become ready.
const START_TIMEOUT: Duration = Duration::from_mins(1);
/// Maximum time for a scratch server to stop; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A server, and its database.
pub(crate) struct Target {
    /// The server's address.
    pub address: SocketAddr,
    /// The `Host` header of requests.
    pub host: String,
    /// The server's process id, if known.
    pid: Option<i32>,
    pub db: Db,
    /// The database's URL, as pgbench takes it.
    pub database_url: String,
    scratch: Option<Mutex<Scratch>>,
}

/// A scratch server, which is removed together with its data.
struct Scratch {
    dir: PathBuf,
    child: Child,
}

impl Target {
    /// Opens the server that the options name, or starts a scratch one.
    ///
    /// # Errors
    /// The server is not on this machine, and `--remote` is missing.
    pub(crate) async fn open(bench: &Bench, settings: &Settings) -> Result<Self, String> {
        match &bench.url {
            Some(url) => Self::running(bench, url),
            None => Self::scratch(bench.database.as_deref(), settings, &[]).await,
        }
    }

    fn running(bench: &Bench, url: &str) -> Result<Self, String> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "http")
            .ok_or("--url must be http://host:port")?;
        let host = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(80)
        );
        let address = host
            .to_socket_addrs()
            .map_err(|error| format!("{host}: {error}"))?
            .next()
            .ok_or("--url names no address")?;
        // A wrong --url would fill somebody's server with a thousand users and their messages.
        if !address.ip().is_loopback() && !bench.remote {
            return Err(format!(
                "{address} is not on this machine; with --remote it is measured all the same"
            ));
        }
        let database_url = bench
            .database
            .clone()
            .ok_or("--url needs --database, in which users and conversations are created; use one that you can throw away")?;
        let options = PgConnectOptions::from_str(&database_url)
            .map_err(|_| "--database must be postgres://user:password@host/database")?;
        Ok(Self {
            address,
            host,
            pid: bench.pid,
            db: Db::new(options, 1),
            database_url,
            scratch: None,
        })
    }

    /// Starts a scratch server, on this database or one of its own, with these environment variables,
    /// too.
    ///
    /// # Errors
    /// One sentence for people.
    pub(crate) async fn scratch(
        database: Option<&str>,
        settings: &Settings,
        variables: &[(&str, &OsStr)],
    ) -> Result<Self, String> {
        let dir = scratch_directory("parlance-bench")?;
        let address = free_address().map_err(|error| error.to_string())?;
        let mut settings = settings.clone();
        settings.data_dir = dir.join("data");
        settings.database = Database::Embedded;
        let result = Self::start(database, &settings, variables, &dir, address).await;
        if result.is_err() {
            // The error contains the end of the log, so the directory is not needed for it.
            let _ = fs::remove_dir_all(&dir);
        }
        result
    }

    async fn start(
        database: Option<&str>,
        settings: &Settings,
        variables: &[(&str, &OsStr)],
        dir: &Path,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let mut environment = vec![("DATA_DIR", settings.data_dir.as_os_str())];
        environment.extend(UNLIMITED.map(|(name, value)| (name, OsStr::new(value))));
        environment.extend_from_slice(variables);
        environment.extend(database.map(|url| ("DATABASE_URL", OsStr::new(url))));
        let log = dir.join("log");
        let mut child = serve(dir, &log, address, &environment)?;
        await_ready(
            address,
            &mut child,
            &log,
            Instant::now() + START_TIMEOUT,
            None,
        )
        .await?;
        let scratch = Scratch {
            dir: dir.to_owned(),
            child,
        };
        let database_url =
            database.map_or_else(|| store::embedded::url(settings), |url| Ok(url.to_owned()));
        let database_url = database_url.map_err(|error| with_causes(&error))?;
        let options =
            PgConnectOptions::from_str(&database_url).map_err(|error| error.to_string())?;
        // A single connection, for the fixture: more would compete with the server's own.
        let (host, db) = (address.to_string(), Db::new(options, 1));
        Ok(Self {
            address,
            host,
            pid: None,
            db,
            database_url,
            scratch: Some(Mutex::new(scratch)),
        })
    }

    /// The server's process id, as far as it is known.
    pub(crate) async fn process(&self) -> Option<i32> {
        match &self.scratch {
            Some(scratch) => scratch.lock().await.process(),
            None => self.pid,
        }
    }

    /// Cleans up: a scratch server is stopped and removed together with its data.
    ///
    /// # Errors
    /// Something could not be removed.
    pub(crate) async fn leave(&self) -> Result<(), String> {
        self.db.close().await;
        let Some(scratch) = &self.scratch else {
            return Ok(());
        };
        let mut scratch = scratch.lock().await;
        if let Some(process) = scratch.process() {
            // A clean shutdown first: its PostgreSQL then ends too, and nothing writes into the
            // directory any more.
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        // Killed if necessary: a scratch server must not outlive its measurement.
        if timeout(STOP_TIMEOUT, scratch.child.wait()).await.is_err() {
            let _ = scratch.child.kill().await;
        }
        fs::remove_dir_all(&scratch.dir)
            .map_err(|error| format!("{} cannot be removed: {error}", scratch.dir.display()))
    }
}

impl Scratch {
    fn process(&self) -> Option<i32> {
        self.child.id().and_then(|id| i32::try_from(id).ok())
    }
}
