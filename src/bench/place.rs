//! Where it is measured: a scratch server with a database of its own, or one that runs.

use std::{
    env, fs, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    process::Stdio,
    str::FromStr,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::postgres::PgConnectOptions;
use tokio::process::{Child, Command};
use url::Url;

use super::{Bench, client::Client};
use crate::{
    settings::{Database, Settings},
    store::{self, Db},
};

/// A server that was just started gets so long to make its database.
const STARTING: Duration = Duration::from_mins(1);
const STOPPING: Duration = Duration::from_secs(20);
/// What of our own environment a scratch server gets; its settings are the defaults, but for those asked for.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "PG_BIN", "RUST_LOG", "WORKERS"];

/// A server, and its database.
pub struct Place {
    /// Where it listens.
    pub address: SocketAddr,
    /// What a request names as its host.
    pub host: String,
    /// Its process, if it runs here.
    pub process: Option<i32>,
    /// Its database.
    pub db: Db,
    /// The database's address, as pgbench takes it.
    pub database_url: String,
    /// PostgreSQL's settings that differ from its defaults are the embedded one's, or the operator's.
    scratch: Option<Scratch>,
}

struct Scratch {
    dir: PathBuf,
    child: Child,
}

impl Place {
    /// The server that is asked for, or a scratch one.
    ///
    /// # Errors
    /// A target that is not on this machine, unless told.
    pub async fn open(bench: &Bench, settings: &Settings) -> Result<Self, String> {
        match &bench.url {
            Some(url) => Self::running(bench, url),
            None => Self::scratch(bench, settings).await,
        }
    }

    fn running(bench: &Bench, url: &str) -> Result<Self, String> {
        let url = Url::parse(url).ok().filter(|url| url.scheme() == "http").ok_or("--url takes http://host:port")?;
        let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        let address = host.to_socket_addrs().map_err(|error| format!("{host}: {error}"))?.next().ok_or("--url names no address")?;
        if !address.ip().is_loopback() && !bench.remote {
            return Err(format!("{address} is not on this machine; with --remote it is measured all the same"));
        }
        let database_url = bench
            .database
            .clone()
            .ok_or("--url wants --database, where users and conversations are made; use one that you can throw away")?;
        let options = PgConnectOptions::from_str(&database_url).map_err(|_| "--database takes postgres://user:password@host/database")?;
        Ok(Self { address, host, process: bench.pid, db: Db::new(options, 1), database_url, scratch: None })
    }

    async fn scratch(bench: &Bench, settings: &Settings) -> Result<Self, String> {
        // Two that measure at once, or one again after it was killed, do not meet.
        let dir = env::temp_dir().join(format!("parlance-bench-{}", std::process::id()));
        let address = free_address().map_err(|error| error.to_string())?;
        let mut settings = settings.clone();
        settings.data_dir = dir.join("data");
        settings.database = Database::Embedded;
        let result = Self::start(bench, &settings, &dir, address).await;
        if result.is_err() {
            let _ = fs::remove_dir_all(&dir);
        }
        result
    }

    async fn start(bench: &Bench, settings: &Settings, dir: &Path, address: SocketAddr) -> Result<Self, String> {
        let failed = |error: io::Error| format!("a scratch server could not be started: {error}");
        fs::create_dir_all(dir).map_err(failed)?;
        let log = dir.join("log");
        let mut command = Command::new(env::current_exe().map_err(failed)?);
        command.arg("serve").env_clear().current_dir(dir);
        command.envs(PASSED_ON.iter().filter_map(|name| Some((name, env::var_os(name)?))));
        command.env("LISTEN_ADDR", address.to_string()).env("DATA_DIR", &settings.data_dir);
        if let Some(url) = &bench.database {
            command.env("DATABASE_URL", url);
        }
        let output = fs::File::create(&log).map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).kill_on_drop(true).spawn().map_err(failed)?;
        let process = child.id().and_then(|id| i32::try_from(id).ok());
        let mut scratch = Scratch { dir: dir.to_owned(), child };
        scratch
            .await_ready(address)
            .await
            .map_err(|sentence| format!("{sentence}; its log:\n{}", fs::read_to_string(&log).unwrap_or_default()))?;
        let database_url = bench.database.clone().map_or_else(|| store::embedded::url(settings), Ok)?;
        let options = PgConnectOptions::from_str(&database_url).map_err(|error| error.to_string())?;
        Ok(Self { address, host: address.to_string(), process, db: Db::new(options, 1), database_url, scratch: Some(scratch) })
    }

    /// Leaves it as it was: a scratch server is stopped and removed, with its data.
    pub async fn leave(self) -> Result<(), String> {
        self.db.close().await;
        let Some(Scratch { dir, mut child }) = self.scratch else { return Ok(()) };
        if let Some(process) = self.process {
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        if tokio::time::timeout(STOPPING, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
        fs::remove_dir_all(&dir).map_err(|error| format!("{} cannot be removed: {error}", dir.display()))
    }
}

impl Scratch {
    async fn await_ready(&mut self, address: SocketAddr) -> Result<(), String> {
        let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let deadline = Instant::now() + STARTING;
        loop {
            if let Ok(mut client) = Client::connect(address).await
                && matches!(client.ask(request.as_bytes()).await, Ok(None))
            {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the scratch server ended ({status})"));
            }
            if Instant::now() > deadline {
                return Err("the scratch server does not answer".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// An address on this machine that nobody listens on.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
