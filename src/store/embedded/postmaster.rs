//! One run of PostgreSQL, under a shell that shuts it down when the pipe to it closes.

use std::process::{ExitStatus, Stdio};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, ChildStdin, Command},
    task::JoinHandle,
    time::sleep,
};

use super::{
    Error, POLL,
    paths::ClusterPaths,
    programs::{Identity, Programs},
};

/// Starts PostgreSQL, and shuts it down when standard input closes. A shell gives a background
/// command /dev/null as standard input, hence the copy as descriptor 3. SIGINT is PostgreSQL's fast
/// shutdown; SIGTERM would wait for every session to end. The shell also makes a background command
/// ignore SIGINT until PostgreSQL installs its own handler: an earlier signal is lost, so it is
/// repeated until the process is gone.
const SCRIPT: &str = r#"exec 3<&0
"$@" </dev/null 3<&- &
postgres=$!
(read -r _ <&3; while kill -INT $postgres; do sleep 1; done) 2>/dev/null &
reader=$!
exec 3<&-
wait $postgres
status=$?
kill $reader 2>/dev/null
exit $status"#;

/// Connections in addition to the node's, for commands, `psql`, a backup, and the 64 clients of
/// `bench`.
const SPARE_CONNECTIONS: u32 = 80;

/// Small but safe defaults: fsync and synchronous commit stay on.
const POSTGRES_SETTINGS: [&str; 12] = [
    // No TCP: access is controlled only by the socket's private directory (`trust`).
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "shared_buffers=32MB",
    // Statements use indexes and take less than a millisecond, less than starting a worker. Nothing
    // replicates this cluster.
    "max_parallel_workers_per_gather=0",
    "max_logical_replication_workers=0",
    "max_wal_senders=0",
    // Files fill a segment of the log in half a second. All commits wait while a new one is filled with
    // zeros, so used ones are kept (BENCHMARKS.md, Files).
    "min_wal_size=512MB",
    // Compilation costs more than any statement here gains by it.
    "jit=off",
    // Rows and statements must not get into the log.
    "log_error_verbosity=terse",
    "log_parameter_max_length_on_error=0",
    "log_min_messages=warning",
    "log_min_error_statement=panic",
];

/// A running PostgreSQL, or what is left of one.
pub(super) struct Postmaster {
    shell: Child,
    /// Kept open while PostgreSQL has to run. The kernel closes it with this process, however that
    /// ends.
    pipe: ChildStdin,
    pub programs: Programs,
    /// The file that it was started from.
    pub identity: Option<Identity>,
    /// Ends with its output. Returns why it could not go on, if it said so.
    log: JoinHandle<Option<String>>,
}

impl Postmaster {
    /// Starts PostgreSQL on a cluster, with this many connections for the node itself, and with the
    /// operator's settings.
    ///
    /// # Errors
    /// The shell cannot be run.
    pub(super) fn spawn(
        paths: &ClusterPaths,
        programs: Programs,
        connections: u32,
        settings: &[String],
    ) -> Result<Self, Error> {
        let identity = programs.identity();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "parlance-postgres"])
            .arg(programs.path("postgres"))
            .arg("-D")
            .arg(&paths.data);
        let socket_dir = paths.socket_dir.display();
        let own = [
            format!("unix_socket_directories={socket_dir}"),
            format!("max_connections={}", connections + SPARE_CONNECTIONS),
        ];
        let common = POSTGRES_SETTINGS.iter().copied();
        let settings = settings.iter().map(String::as_str);
        // On the command line, which takes precedence over an edited postgresql.conf. Of two with
        // the same name the last counts.
        for setting in own.iter().map(String::as_str).chain(common).chain(settings) {
            command.args(["-c", setting]);
        }
        paths.owner.run(command.as_std_mut());
        let mut shell = command
            // Ctrl-C in the terminal signals the whole process group, but the server has to end
            // before its database.
            .process_group(0)
            .stdin(Stdio::piped())
            // PostgreSQL logs to stderr.
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::Spawn)?;
        let pipe = shell
            .stdin
            .take()
            .ok_or_else(|| Error::Spawn(std::io::ErrorKind::BrokenPipe.into()))?;
        let stderr = shell
            .stderr
            .take()
            .ok_or_else(|| Error::Spawn(std::io::ErrorKind::BrokenPipe.into()))?;
        Ok(Self {
            shell,
            pipe,
            programs,
            identity,
            log: tokio::spawn(log_lines(stderr)),
        })
    }

    /// Waits until it accepts connections. There is no deadline, as recovery after a crash may take
    /// any time.
    ///
    /// # Errors
    /// It exited.
    pub(super) async fn wait_until_ready(
        &mut self,
        options: &PgConnectOptions,
    ) -> Result<(), Error> {
        // This database exists in every cluster; ours is created later.
        let options = options.clone().database("postgres");
        loop {
            if options.connect().await.is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.shell.try_wait() {
                // All that wrote to it has ended, too.
                return Err(match (&mut self.log).await? {
                    Some(cause) => Error::RefusedToStart { cause },
                    None => Error::ExitedEarly { status },
                });
            }
            sleep(POLL).await;
        }
    }

    /// Waits until it exits by itself.
    pub(super) async fn exited(&mut self) -> std::io::Result<ExitStatus> {
        self.shell.wait().await
    }

    /// Shuts it down cleanly and waits until it has exited.
    pub(super) async fn shut_down(mut self) {
        drop(self.pipe);
        if let Err(error) = self.shell.wait().await {
            tracing::warn!(%error, "the end of PostgreSQL could not be awaited");
        }
    }
}

/// The cause in a line with which PostgreSQL gives up.
pub(super) fn fatal(line: &str) -> Option<&str> {
    ["FATAL:", "PANIC:"]
        .iter()
        .find_map(|level| Some(line.split_once(level)?.1.trim()))
}

/// Copies PostgreSQL's log lines into our log. Returns the last cause with which it gave up.
async fn log_lines(stderr: impl AsyncRead + Unpin) -> Option<String> {
    // Expected lines: clients see these while it recovers or stops, and a constraint that refuses a
    // row is an outcome.
    const EXPECTED: [&str; 4] = [
        "the database system is",
        "terminating connection",
        "connection to client lost",
        "duplicate key",
    ];
    let mut lines = BufReader::new(stderr).lines();
    let mut cause = None;
    while let Ok(Some(line)) = lines.next_line().await {
        let has_any = |words: &[&str]| words.iter().any(|word| line.contains(word));
        if has_any(&["ERROR:", "FATAL:", "PANIC:"]) && !has_any(&EXPECTED) {
            cause = fatal(&line).map(ToOwned::to_owned).or(cause);
            tracing::warn!(target: "postgres", "{line}");
        } else {
            tracing::debug!(target: "postgres", "{line}");
        }
    }
    cause
}
