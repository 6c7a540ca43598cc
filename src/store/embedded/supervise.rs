//! The life of one PostgreSQL: started, started again when it dies or its programs are replaced, ended.

use std::{
    fs::File,
    io,
    path::PathBuf,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::ConnectOptions;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{Notify, SemaphorePermit},
    time::{Instant, sleep, timeout},
};

use super::{
    Db, POLL, PREDECESSOR, cluster, lock,
    place::Place,
    programs::{Identity, Programs},
};

/// A PostgreSQL that ran for so long is started again at once; else after a pause of at most so long.
const STEADY: Duration = Duration::from_secs(10);
const MOST_PAUSE: Duration = Duration::from_secs(5);
/// How long a backup, or somebody at a psql prompt, may keep a PostgreSQL whose programs were replaced from its restart.
const GUESTS: Duration = Duration::from_mins(10);
/// How long requests are held back while it starts again.
const RESTART: Duration = Duration::from_secs(5);

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

/// What is to run, and where.
pub(super) struct Supervisor {
    pub place: Place,
    pub data_dir: PathBuf,
    pub pg_bin: Option<PathBuf>,
    /// What this process asks of it.
    pub db: Db,
    pub connections: u32,
    /// How often it is compared with the programs on disk. `None`: never, as it runs for one command.
    pub check_every: Option<Duration>,
    pub is_stopping: AtomicBool,
    pub stop: Notify,
}

/// A shell that runs PostgreSQL, and the pipe whose end is its end.
pub(super) struct Supervised {
    shell: Child,
    pipe: ChildStdin,
    programs: Programs,
    /// Which file it was started from.
    identity: Option<Identity>,
}

impl Supervised {
    /// Shuts it down cleanly, and waits for its end.
    async fn end(mut self) {
        drop(self.pipe);
        // That it has ended is all that there is to know.
        let _ = self.shell.wait().await;
    }
}

impl Supervisor {
    /// Starts it.
    ///
    /// # Errors
    /// The shell cannot be run.
    pub(super) fn spawn(&self, programs: Programs) -> io::Result<Supervised> {
        let identity = programs.identity();
        let place = &self.place;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SUPERVISOR, "parlance-postgres"])
            .arg(programs.path("postgres"))
            .arg("-D")
            .arg(&place.data);
        command.arg("-c").arg(format!(
            "unix_socket_directories={}",
            place.socket_dir.display()
        ));
        command.arg("-c").arg(format!(
            "max_connections={}",
            self.connections + SPARE_CONNECTIONS
        ));
        for setting in POSTGRES_SETTINGS {
            command.args(["-c", setting]);
        }
        place.run_as_owner(command.as_std_mut());
        // A Ctrl-C in the terminal is ours to answer: the server ends first, then its database.
        let mut shell = command
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipe = shell.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        if let Some(stderr) = shell.stderr.take() {
            tokio::spawn(log_lines(stderr));
        }
        Ok(Supervised {
            shell,
            pipe,
            programs,
            identity,
        })
    }

    /// Waits until it answers, however long it recovers.
    ///
    /// # Errors
    /// It has ended.
    pub(super) async fn await_ready(&self, child: &mut Supervised) -> Result<(), String> {
        let options = self.place.options().database("postgres");
        loop {
            if options.connect().await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = child.shell.try_wait() {
                return Err(format!(
                    "PostgreSQL ended while it started ({status}); the lines above say why"
                ));
            }
            sleep(POLL).await;
        }
    }

    /// Starts it again if it ends by itself, or its programs were replaced; ends it when asked to.
    pub(super) async fn watch(self: Arc<Self>, mut child: Supervised) {
        let mut pause = Duration::ZERO;
        loop {
            let started = Instant::now();
            let replaced = tokio::select! {
                () = self.stop.notified() => return child.end().await,
                status = child.shell.wait() => {
                    say_that_it_ended(&status);
                    None
                }
                programs = self.replaced(&child.programs, child.identity.as_ref()) => Some(programs),
            };
            let mut quiet = None;
            let programs = if let Some(programs) = replaced {
                quiet = tokio::select! {
                    () = self.stop.notified() => return child.end().await,
                    // Nobody has to be waited for any more.
                    status = child.shell.wait() => {
                        say_that_it_ended(&status);
                        None
                    }
                    quiet = self.quiet() => Some(quiet),
                };
                tracing::info!(
                    "restarting PostgreSQL: {} ran, {} is installed",
                    child.programs.version,
                    programs.version
                );
                child.end().await;
                programs
            } else {
                // One that ends again and again, as on a full disk, is tried more and more seldom.
                pause = if started.elapsed() > STEADY {
                    Duration::ZERO
                } else {
                    (pause * 2).clamp(POLL, MOST_PAUSE)
                };
                tokio::select! {
                    () = self.stop.notified() => return,
                    () = sleep(pause) => {}
                }
                self.present(child.programs).await
            };
            child = loop {
                if self.is_stopping.load(Ordering::Acquire) {
                    return;
                }
                // What is left of it may take a moment to go.
                let _ = cluster::await_predecessor(&self.place, PREDECESSOR).await;
                match self.spawn(programs.clone()) {
                    Ok(child) => break child,
                    Err(error) => tracing::error!(%error, "PostgreSQL cannot be started"),
                }
                sleep(Duration::from_secs(1)).await;
            };
            if quiet.is_some()
                && !matches!(
                    timeout(RESTART, self.await_ready(&mut child)).await,
                    Ok(Ok(()))
                )
            {
                tracing::warn!(
                    "PostgreSQL takes long to start again; requests are refused meanwhile"
                );
            }
        }
    }

    /// The programs, from where they are now: an upgrade of their package may have moved them. Those of another major
    /// version are not for this data.
    async fn present(&self, programs: Programs) -> Programs {
        if programs.identity().is_some() {
            return programs;
        }
        match self.find(&programs.major).await {
            Ok(found) if found.major == programs.major => found,
            Ok(found) => {
                tracing::error!(
                    "PostgreSQL {} is gone, and the data needs it; {} is installed",
                    programs.major,
                    found.version
                );
                programs
            }
            Err(sentence) => {
                tracing::error!("{sentence}");
                programs
            }
        }
    }

    /// Looks for the programs again.
    async fn find(&self, major: &str) -> Result<Programs, String> {
        let (pg_bin, major) = (self.pg_bin.clone(), major.to_owned());
        // It runs programs.
        let found =
            tokio::task::spawn_blocking(move || Programs::find(pg_bin.as_deref(), Some(&major)))
                .await;
        found.map_err(|error| error.to_string())?
    }

    /// Waits until other programs than those that run are installed, and whole: a server that still runs after an
    /// upgrade of its package may fail at whatever it loads for the first time.
    async fn replaced(&self, running: &Programs, identity: Option<&Identity>) -> Programs {
        let Some(check_every) = self.check_every else {
            return std::future::pending().await;
        };
        let (mut is_told, mut seen) = (false, None);
        loop {
            sleep(check_every).await;
            if running.identity().as_ref() == identity {
                seen = None;
                continue;
            }
            if !is_told {
                is_told = true;
                tracing::warn!(
                    "PostgreSQL's programs were replaced beneath the server that runs ({}); it is restarted at a quiet moment, once they are complete",
                    running.version
                );
            }
            let Ok(programs) = self.find(&running.major).await else {
                seen = None;
                continue;
            };
            // Two looks that find the same: nobody is about to write them.
            let is_settled = seen.is_some() && seen == programs.identity();
            seen = programs.identity();
            if is_settled && programs.major == running.major {
                return programs;
            }
        }
    }

    /// Waits until nobody uses it, and keeps everybody from it until the answer is dropped: commands, which wait for its
    /// return, and this process's own requests.
    async fn quiet(&self) -> (Option<File>, Option<SemaphorePermit<'_>>) {
        let book = lock::see_guests_off(&self.data_dir, GUESTS).await;
        (book, self.db.pause().await)
    }
}

fn say_that_it_ended(status: &io::Result<std::process::ExitStatus>) {
    tracing::error!(?status, "PostgreSQL ended by itself; starting it again");
}

/// PostgreSQL's own lines, in our log.
async fn log_lines(stderr: impl AsyncRead + Unpin) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if ["ERROR:", "FATAL:", "PANIC:"]
            .iter()
            .any(|level| line.contains(level))
        {
            // While it recovers or stops, it says so to everyone who knocks; and a constraint that refuses is
            // answered, not a fault.
            if [
                "the database system is",
                "terminating connection",
                "connection to client lost",
                "duplicate key",
            ]
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
