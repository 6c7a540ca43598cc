//! A PostgreSQL of our own, for trying out and for one-machine installations: as safe as any other.
//! It listens on a Unix socket in a private directory only; fsync and checksums are on; its data is
//! never deleted, and never touched by binaries of another major version.
//!
//! It runs under a shell that holds the other end of a pipe: when this process ends, in whatever way,
//! the pipe closes and the shell shuts PostgreSQL down cleanly.

mod cluster;
mod programs;

use std::{
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::unistd::User;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::programs::Programs;
use super::Db;
use crate::settings::{Database, Settings};

/// The role and the database that Parlance uses.
const NAME: &str = "parlance";
/// What stands in a URL's query as it is; all else is encoded.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
/// A socket's path may be so long; PostgreSQL adds `/.s.PGSQL.5432` to the directory's.
const MOST_PATH: usize = 107;
const SOCKET: &str = ".s.PGSQL.5432";
/// How long the previous server on this data may take to end.
const PREDECESSOR: Duration = Duration::from_mins(1);
/// How long a connection from the command line waits for a server that is starting.
const STARTING: Duration = Duration::from_secs(30);
/// How long a command may hold the data before a server that starts takes it for another server.
const COMMAND: Duration = Duration::from_secs(3);
/// How long a shutdown may take before it is left to the pipe.
const STOPPING: Duration = Duration::from_secs(8);
const POLL: Duration = Duration::from_millis(20);
/// A PostgreSQL that ran for so long is started again at once; else after a pause of at most so long.
const STEADY: Duration = Duration::from_secs(10);
const MOST_PAUSE: Duration = Duration::from_secs(5);

/// Starts PostgreSQL, and shuts it down when standard input closes. A background command's standard
/// input is /dev/null in a shell, hence the copy; and it ignores SIGINT until it says otherwise, so PostgreSQL, which does
/// after a moment, is told again until it is gone.
const SUPERVISOR: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
postgres=$!
(read -r _ <&3; while kill -INT $postgres; do sleep 1; done) 2>/dev/null &
reader=$!
exec 3<&-
wait $postgres
status=$?
kill $reader 2>/dev/null
exit $status"#;

/// Connections beside the node's own: the command line, `psql`, a backup, the 64 of a measurement.
const SPARE_CONNECTIONS: u32 = 80;

/// Small by default, and safe.
const POSTGRES_SETTINGS: [&str; 11] = [
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_buffers=32MB",
    "max_parallel_workers_per_gather=0",
    "max_logical_replication_workers=0",
    "max_wal_senders=0",
    "jit=off",
    // Neither rows nor statements belong in a log.
    "log_error_verbosity=terse",
    "log_parameter_max_length_on_error=0",
    "log_min_messages=warning",
    "log_min_error_statement=panic",
];

/// A PostgreSQL that runs as long as this is held.
pub struct Embedded {
    url: String,
    inner: Arc<Inner>,
    watch: JoinHandle<()>,
    data_dir: PathBuf,
    /// Held as long as the data is ours.
    _lock: File,
}

struct Inner {
    programs: Programs,
    place: Place,
    connections: u32,
    is_stopping: AtomicBool,
    stop: Notify,
}

/// Where the embedded PostgreSQL is, and whose it is.
struct Place {
    data: PathBuf,
    socket_dir: PathBuf,
    /// Whom it runs as, where we are root: PostgreSQL refuses root.
    owner: Option<User>,
}

/// The database that the settings name: the operator's, or ours, started.
///
/// # Errors
/// One sentence for a person.
pub async fn open(settings: &Settings) -> Result<(Db, Option<Embedded>), String> {
    let (options, embedded) = match &settings.database {
        Database::Given(options) => ((**options).clone(), None),
        Database::Embedded => {
            let (options, embedded) = Embedded::start(settings).await?;
            (options, Some(embedded))
        }
    };
    Ok((Db::new(options, settings.database_connections), embedded))
}

/// The database, for as long as the command line needs it.
pub struct Joined {
    /// The database.
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
        if let Database::Given(_) = settings.database {
            let (db, embedded) = open(settings).await?;
            return Ok(Joined { db, embedded, guest: None });
        }
        if lock(&settings.data_dir)?.is_some() {
            match open(settings).await {
                // Another command was quicker.
                Err(_) if lock(&settings.data_dir)?.is_none() => {}
                result => return result.map(|(db, embedded)| Joined { db, embedded, guest: None }),
            }
        }
        let guest = guest_book(&settings.data_dir)?;
        let options = Place::of(&settings.data_dir)?.options();
        if guest.try_lock_shared().is_ok() && options.connect().await.is_ok() {
            return Ok(Joined { db: Db::new(options, 2), embedded: None, guest: Some(guest) });
        }
        if Instant::now() > deadline {
            return Err(format!("a server holds {}, but its database does not answer", settings.data_dir.display()));
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
            let _closed = embedded.see_guests_off().await;
            embedded.stop().await;
        }
    }
}

impl Embedded {
    /// Makes the cluster if there is none, and starts it.
    ///
    /// # Errors
    /// One sentence: no binaries, another server on the data, another major version.
    async fn start(settings: &Settings) -> Result<(PgConnectOptions, Self), String> {
        let lock = patient_lock(&settings.data_dir).await?.ok_or_else(|| {
            format!(
                "another server, or a command, runs on {}; stop it first, or give this one another DATA_DIR",
                settings.data_dir.display()
            )
        })?;
        let place = Place::of(&settings.data_dir)?;
        let version = cluster::version(&place.data)?;
        let programs = Programs::find(settings.pg_bin.as_deref(), version.as_deref())?;
        cluster::check_version(version.as_deref(), &programs)?;
        place.prepare()?;
        if version.is_none() {
            cluster::make(&place, &programs).await?;
        }
        cluster::await_predecessor(&place.data, PREDECESSOR).await?;

        let options = place.options();
        let inner = Arc::new(Inner {
            programs,
            place,
            connections: settings.database_connections,
            is_stopping: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let child = inner.spawn().map_err(|error| format!("PostgreSQL cannot be started: {error}"))?;
        let child = inner.await_ready(child, &options).await?;
        let watch = tokio::spawn(inner.clone().watch(child));
        let embedded = Self { url: inner.place.url(), inner, watch, data_dir: settings.data_dir.clone(), _lock: lock };
        cluster::ensure_database(&options).await?;
        Ok((options, embedded))
    }

    /// Its address, as `psql`, `pg_dump` and `sqlx migrate` take it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Waits until those who joined have gone. While what it answers is held, nobody joins any more.
    async fn see_guests_off(&self) -> Result<File, String> {
        let deadline = Instant::now() + STARTING;
        let book = guest_book(&self.data_dir)?;
        while book.try_lock().is_err() && Instant::now() < deadline {
            sleep(POLL).await;
        }
        Ok(book)
    }

    /// Shuts it down cleanly.
    pub async fn stop(self) {
        self.inner.is_stopping.store(true, Ordering::Release);
        self.inner.stop.notify_one();
        if tokio::time::timeout(STOPPING, self.watch).await.is_err() {
            tracing::warn!("PostgreSQL takes long to stop; it ends by itself");
        }
    }
}

/// A shell that runs PostgreSQL, and the pipe whose end is its end.
struct Supervised {
    shell: Child,
    pipe: ChildStdin,
}

impl Inner {
    fn spawn(&self) -> io::Result<Supervised> {
        let place = &self.place;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SUPERVISOR, "parlance-postgres"]).arg(self.programs.path("postgres")).arg("-D").arg(&place.data);
        command.arg("-c").arg(format!("unix_socket_directories={}", place.socket_dir.display()));
        command.arg("-c").arg(format!("max_connections={}", self.connections + SPARE_CONNECTIONS));
        for setting in POSTGRES_SETTINGS {
            command.args(["-c", setting]);
        }
        place.run_as_owner(command.as_std_mut());
        // A Ctrl-C in the terminal is ours to answer: the server ends first, then its database.
        let mut shell = command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let pipe = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        if let Some(stderr) = shell.stderr.take() {
            tokio::spawn(log_lines(stderr));
        }
        Ok(Supervised { shell, pipe })
    }

    /// Waits until it answers, however long it recovers.
    async fn await_ready(&self, mut child: Supervised, options: &PgConnectOptions) -> Result<Supervised, String> {
        let options = options.clone().database("postgres");
        loop {
            if options.connect().await.is_ok() {
                return Ok(child);
            }
            if let Ok(Some(status)) = child.shell.try_wait() {
                return Err(format!("PostgreSQL ended while it started ({status}); the lines above say why"));
            }
            sleep(POLL).await;
        }
    }

    /// Starts it again if it ends by itself; ends it when asked to.
    async fn watch(self: Arc<Self>, mut child: Supervised) {
        let mut pause = Duration::ZERO;
        loop {
            let started = Instant::now();
            tokio::select! {
                () = self.stop.notified() => {
                    drop(child.pipe);
                    let _ = child.shell.wait().await;
                    return;
                }
                status = child.shell.wait() => tracing::error!(?status, "PostgreSQL ended by itself; starting it again"),
            }
            // One that ends again and again, as on a full disk, is tried more and more seldom.
            pause = if started.elapsed() > STEADY { Duration::ZERO } else { (pause * 2).clamp(POLL, MOST_PAUSE) };
            tokio::select! {
                () = self.stop.notified() => return,
                () = sleep(pause) => {}
            }
            child = loop {
                if self.is_stopping.load(Ordering::Acquire) {
                    return;
                }
                // What is left of it may take a moment to go.
                let _ = cluster::await_predecessor(&self.place.data, PREDECESSOR).await;
                match self.spawn() {
                    Ok(child) => break child,
                    Err(error) => tracing::error!(%error, "PostgreSQL cannot be started"),
                }
                sleep(Duration::from_secs(1)).await;
            };
        }
    }
}

impl Place {
    fn of(data_dir: &Path) -> Result<Self, String> {
        let data_dir = std::path::absolute(data_dir).map_err(|error| format!("{}: {error}", data_dir.display()))?;
        let run = data_dir.join("run");
        let fits = run.as_os_str().len() + 1 + SOCKET.len() <= MOST_PATH;
        let socket_dir = if fits { run } else { short_directory(&data_dir) };
        Ok(Self { data: data_dir.join("postgres"), socket_dir, owner: owner()? })
    }

    /// Makes the socket's directory, private to the owner.
    fn prepare(&self) -> Result<(), String> {
        use std::os::unix::fs::{DirBuilderExt, MetadataExt};
        let dir = &self.socket_dir;
        let failed = |error: io::Error| format!("{} cannot be made: {error}", dir.display());
        match std::fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(error)),
        }
        self.give_to_owner(dir).map_err(failed)?;
        // Somebody else's directory under a predictable name would see every connection.
        let found = std::fs::symlink_metadata(dir).map_err(failed)?;
        let wanted = self.owner.as_ref().map_or_else(nix::unistd::geteuid, |user| user.uid).as_raw();
        if !found.is_dir() || found.uid() != wanted || found.mode() & 0o077 != 0 {
            return Err(format!("{} is not a private directory of the user that runs PostgreSQL", dir.display()));
        }
        self.check_reach()
    }

    fn give_to_owner(&self, path: &Path) -> io::Result<()> {
        match &self.owner {
            Some(user) => std::os::unix::fs::lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    }

    /// Whether the unprivileged user gets through the directories above the data.
    fn check_reach(&self) -> Result<(), String> {
        let Some(user) = &self.owner else { return Ok(()) };
        let mut probe = std::process::Command::new("/bin/sh");
        probe.args(["-c", r#"cd "$1""#, "probe"]).arg(&self.socket_dir).stderr(Stdio::null());
        self.run_as_owner(&mut probe);
        match probe.status() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(format!(
                "PostgreSQL does not run as root, and the user {} cannot reach {}; set DATA_DIR to a directory that it can reach, such as /var/lib/parlance",
                user.name,
                self.data.display()
            )),
        }
    }

    fn run_as_owner(&self, command: &mut std::process::Command) {
        if let Some(user) = &self.owner {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw()).env("HOME", &user.dir);
        }
        command.current_dir("/").env_remove("PGDATA").env("LC_ALL", "C");
    }

    fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().host("localhost").socket(&self.socket_dir).port(5432).username(NAME).database(NAME)
    }

    fn url(&self) -> String {
        let host = self.socket_dir.as_os_str().as_encoded_bytes();
        format!("postgres://{NAME}@localhost/{NAME}?host={}", percent_encode(host, PATH))
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

/// Takes the data directory for this process. `None`: another one holds it.
fn lock(data_dir: &Path) -> Result<Option<File>, String> {
    let file = lock_file(data_dir, "lock")?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(format!("{} cannot be locked: {error}", data_dir.display())),
    }
}

/// As [`lock`], but a command that is about to end is waited for.
async fn patient_lock(data_dir: &Path) -> Result<Option<File>, String> {
    let deadline = Instant::now() + COMMAND;
    loop {
        match lock(data_dir)? {
            None if Instant::now() < deadline => sleep(POLL).await,
            held => return Ok(held),
        }
    }
}

/// Those who have joined another's database share a lock on this file.
fn guest_book(data_dir: &Path) -> Result<File, String> {
    lock_file(data_dir, "guests")
}

fn lock_file(data_dir: &Path, name: &str) -> Result<File, String> {
    std::fs::create_dir_all(data_dir).map_err(|error| format!("{} cannot be made: {error}", data_dir.display()))?;
    let path = data_dir.join(name);
    File::create(&path).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Whom PostgreSQL runs as: us, unless we are root.
fn owner() -> Result<Option<User>, String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Ok(Some(user)) = User::from_name(name) {
            return Ok(Some(user));
        }
    }
    Err("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as".into())
}

/// A directory with a short path, always the same one for the same data.
fn short_directory(data_dir: &Path) -> PathBuf {
    use md5::{Digest, Md5};
    let name = hex::encode(Md5::digest(data_dir.as_os_str().as_encoded_bytes()));
    Path::new("/tmp").join(format!("parlance-{name}"))
}

/// PostgreSQL's own lines, in our log.
async fn log_lines(stderr: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if ["ERROR:", "FATAL:", "PANIC:"].iter().any(|level| line.contains(level)) {
            // While it recovers or stops, it says so to everyone who knocks; and a constraint that refuses is
            // answered, not a fault.
            if ["the database system is", "terminating connection", "connection to client lost", "duplicate key"]
                .iter()
                .any(|usual| line.contains(usual))
            {
                tracing::debug!(target: "postgres", "{line}");
            } else {
                tracing::warn!(target: "postgres", "{line}");
            }
        } else {
            tracing::debug!(target: "postgres", "{line}");
        }
    }
}
