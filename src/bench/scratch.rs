//! Scratch servers: their directory, their process, and waiting until they are ready.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
    time::timeout,
};
use uuid::Uuid;

use super::client::Client;

/// Maximum time for an answer of `/readyz`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of log lines that are shown if a server does not start or crashes.
const LAST_LINES: usize = 20;
/// The environment variables that a scratch server inherits. All others are left out, so that its
/// settings are the defaults.
const PASSED_ON: [&str; 5] = ["PATH", "HOME", "PG_BIN", "RUST_LOG", "WORKERS"];

/// Limits of one user that a few users who do the work of thousands do not meet.
pub(crate) const UNLIMITED: [(&str, &str); 8] = [
    ("MESSAGES_PER_MINUTE", "1000000000"),
    ("MESSAGE_BYTES_PER_MINUTE", "1000000000000"),
    ("STORED_BYTES_PER_USER", "1000000000000"),
    ("LOOKUPS_PER_HOUR", "1000000000"),
    ("PRESENCE_CHANGES_PER_MINUTE", "1000000000"),
    ("CHANGES_PER_MINUTE", "1000000000"),
    ("EPOCH_SECRETS_PER_HOUR", "1000000000"),
    ("NEW_STATIONS_PER_DAY", "1000000000"),
];

/// Creates a directory among the temporary files. Its name cannot be guessed, and an existing
/// directory is not used, as anyone may have created it.
///
/// # Errors
/// One sentence for people.
pub(crate) fn scratch_directory(name: &str) -> Result<PathBuf, String> {
    let dir = env::temp_dir().join(format!("{name}-{}", Uuid::new_v4().simple()));
    // Searchable by everyone, because PostgreSQL may have to run as another user.
    let made = fs::DirBuilder::new().mode(0o711).create(&dir);
    made.map_err(|error| format!("{} cannot be made: {error}", dir.display()))?;
    Ok(dir)
}

/// Waits for a signal that ends this process, so that it can stop what it has started.
pub(crate) async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}

fn not_started(error: &io::Error) -> String {
    format!("a scratch server could not be started: {error}")
}

/// Starts a server in a directory, with additional environment variables. It is killed when it is
/// dropped.
///
/// # Errors
/// One sentence for people.
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
        // Appended, so that a restarted node does not erase why it ended before.
        .append(true)
        .open(log)
        .map_err(|error| not_started(&error))?;
    // In a process group of its own: at Ctrl-C in the terminal, this process shuts the server down
    // in order.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .process_group(0);
    command.spawn().map_err(|error| not_started(&error))
}

/// Waits until a server is ready and, with `says`, until it reports this line.
///
/// # Errors
/// It exited, or is not ready by the deadline; the error has the end of its log.
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
            && let Ok(Ok(_)) = timeout(ANSWER_TIMEOUT, client.ask(request.as_bytes())).await
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
        // A server that has exited will never answer: waiting for the deadline would only delay its
        // error.
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

/// A free address on this machine.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    // Another process may take the port before it is used: the server then reports that and does
    // not start.
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
