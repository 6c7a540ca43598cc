//! Where it is measured: a scratch server with a database of its own, or one that runs.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::fs::DirBuilderExt,
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
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    sync::Mutex,
    time::timeout,
};
use url::Url;
use uuid::Uuid;

use super::{Bench, client::Client};
use crate::{
    settings::{Database, Settings},
    store::{self, Db},
    telemetry::with_causes,
};

/// A server that was just started gets so long to make its database.
const STARTING: Duration = Duration::from_mins(1);
const STOPPING: Duration = Duration::from_secs(20);
/// Whether it is ready, it says in this time, or is asked again.
const ANSWERING: Duration = Duration::from_secs(2);
/// So many lines of a server's log are shown if it does not start, or crashes.
const LAST_LINES: usize = 20;
/// What of our own environment a scratch server gets; its settings are the defaults, but for those asked for.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "PG_BIN", "RUST_LOG", "WORKERS"];

/// A server, and its database.
pub(crate) struct Place {
    /// Where it listens.
    pub address: SocketAddr,
    /// What a request names as its host.
    pub host: String,
    /// Its process, if it was told.
    pid: Option<i32>,
    pub db: Db,
    /// The database's address, as pgbench takes it.
    pub database_url: String,
    scratch: Option<Mutex<Scratch>>,
}

/// A server of our own, which goes with its data.
struct Scratch {
    dir: PathBuf,
    child: Child,
}

/// A directory of our own among the temporary ones. Its name cannot be guessed, and what is there already is not taken:
/// there, anyone may have made it.
///
/// # Errors
/// One sentence.
pub(crate) fn scratch_directory(name: &str) -> Result<PathBuf, String> {
    let dir = env::temp_dir().join(format!("{name}-{}", Uuid::new_v4().simple()));
    // PostgreSQL, which may have to run as another user, passes through.
    let made = fs::DirBuilder::new().mode(0o711).create(&dir);
    made.map_err(|error| format!("{} cannot be made: {error}", dir.display()))?;
    Ok(dir)
}

/// Waits until someone wants it to end: what was started for it has to go as well.
pub(crate) async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

impl Place {
    /// The server that is asked for, or a scratch one.
    ///
    /// # Errors
    /// A target that is not on this machine, unless told.
    pub(crate) async fn open(bench: &Bench, settings: &Settings) -> Result<Self, String> {
        match &bench.url {
            Some(url) => Self::running(bench, url),
            None => Self::scratch(bench.database.as_deref(), settings).await,
        }
    }

    fn running(bench: &Bench, url: &str) -> Result<Self, String> {
        let url = Url::parse(url)
            .ok()
            .filter(|url| url.scheme() == "http")
            .ok_or("--url takes http://host:port")?;
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
        if !address.ip().is_loopback() && !bench.remote {
            return Err(format!(
                "{address} is not on this machine; with --remote it is measured all the same"
            ));
        }
        let database_url = bench
            .database
            .clone()
            .ok_or("--url wants --database, where users and conversations are made; use one that you can throw away")?;
        let options = PgConnectOptions::from_str(&database_url)
            .map_err(|_| "--database takes postgres://user:password@host/database")?;
        Ok(Self {
            address,
            host,
            pid: bench.pid,
            db: Db::new(options, 1),
            database_url,
            scratch: None,
        })
    }

    /// A scratch server, on this database or on one of its own.
    ///
    /// # Errors
    /// One sentence.
    pub(crate) async fn scratch(
        database: Option<&str>,
        settings: &Settings,
    ) -> Result<Self, String> {
        let dir = scratch_directory("parlance-bench")?;
        let address = free_address().map_err(|error| error.to_string())?;
        let mut settings = settings.clone();
        settings.data_dir = dir.join("data");
        settings.database = Database::Embedded;
        let result = Self::start(database, &settings, &dir, address).await;
        if result.is_err() {
            let _ = fs::remove_dir_all(&dir);
        }
        result
    }

    async fn start(
        database: Option<&str>,
        settings: &Settings,
        dir: &Path,
        address: SocketAddr,
    ) -> Result<Self, String> {
        let mut environment = vec![("DATA_DIR", settings.data_dir.as_os_str())];
        environment.extend(database.map(|url| ("DATABASE_URL", OsStr::new(url))));
        let log = dir.join("log");
        let mut child = serve(dir, &log, address, &environment)?;
        await_ready(address, &mut child, &log, Instant::now() + STARTING, None).await?;
        let scratch = Scratch {
            dir: dir.to_owned(),
            child,
        };
        let database_url =
            database.map_or_else(|| store::embedded::url(settings), |url| Ok(url.to_owned()));
        let database_url = database_url.map_err(|error| with_causes(&error))?;
        let options =
            PgConnectOptions::from_str(&database_url).map_err(|error| error.to_string())?;
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

    /// The server's process, as far as it is known.
    pub(crate) async fn process(&self) -> Option<i32> {
        match &self.scratch {
            Some(scratch) => scratch.lock().await.process(),
            None => self.pid,
        }
    }

    /// Leaves it as it was: a scratch server is stopped and removed, with its data.
    ///
    /// # Errors
    /// Something is left.
    pub(crate) async fn leave(&self) -> Result<(), String> {
        self.db.close().await;
        let Some(scratch) = &self.scratch else {
            return Ok(());
        };
        let mut scratch = scratch.lock().await;
        if let Some(process) = scratch.process() {
            let _ = kill(Pid::from_raw(process), Signal::SIGTERM);
        }
        if timeout(STOPPING, scratch.child.wait()).await.is_err() {
            let _ = scratch.child.kill().await;
        }
        fs::remove_dir_all(&scratch.dir)
            .map_err(|error| format!("{} cannot be removed: {error}", scratch.dir.display()))
    }
}

fn not_started(error: &io::Error) -> String {
    format!("a scratch server could not be started: {error}")
}

/// Starts a server of our own in a directory, with this in its environment beside what all have. It ends when it is dropped.
///
/// # Errors
/// One sentence.
pub(crate) fn serve(
    dir: &Path,
    log: &Path,
    address: SocketAddr,
    environment: &[(&str, &OsStr)],
) -> Result<Child, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| not_started(&error))?);
    command.arg("serve").env_clear().current_dir(dir);
    command.envs(
        PASSED_ON
            .iter()
            .filter_map(|name| Some((name, env::var_os(name)?))),
    );
    command
        .env("LISTEN_ADDR", address.to_string())
        .envs(environment.iter().copied());
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(|error| not_started(&error))?;
    // A Ctrl-C in the terminal is for whoever started it.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .process_group(0);
    command.spawn().map_err(|error| not_started(&error))
}

/// Waits until a server of our own can serve, and says this of itself.
///
/// # Errors
/// It ended, or does not serve by the deadline; with the end of its log.
pub(crate) async fn await_ready(
    address: SocketAddr,
    child: &mut Child,
    log: &Path,
    deadline: Instant,
    says: Option<&str>,
) -> Result<(), String> {
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut last = "does not answer".to_owned();
    loop {
        if let Ok(mut client) = Client::connect(address).await
            && let Ok(Ok(_)) = timeout(ANSWERING, client.ask(request.as_bytes())).await
        {
            let answer = String::from_utf8_lossy(client.body());
            let mut lines = answer.lines();
            if lines.next() == Some("ready")
                && says.is_none_or(|says| lines.any(|line| line == says))
            {
                return Ok(());
            }
            last = format!("says {answer:?}");
        }
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || Instant::now() > deadline {
            let what = ended.map_or(last, |status| format!("ended ({status})"));
            return Err(format!(
                "the scratch server {what}; the end of its log:\n{}",
                log_end(log)
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The last lines of a server's log.
#[must_use]
pub(crate) fn log_end(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines
        .get(lines.len().saturating_sub(LAST_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

impl Scratch {
    fn process(&self) -> Option<i32> {
        self.child.id().and_then(|id| i32::try_from(id).ok())
    }
}

/// An address on this machine that nobody listens on.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
