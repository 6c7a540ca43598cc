//! The embedded PostgreSQL through the program itself: it starts from nothing, survives being
//! killed, and never touches files that are not its own.

mod command;
mod crash;
mod refuse;
mod start;

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, atomic::AtomicU32, mpsc},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A directory for a test's data, removed with it. Searchable by others, because PostgreSQL does
/// not run as root.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("parlance-try-{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(dir)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn postgres(&self) -> PathBuf {
        self.data().join("postgres")
    }

    /// The process id in `postmaster.pid`.
    pub(crate) fn postmaster(&self) -> Option<i32> {
        std::fs::read_to_string(self.postgres().join("postmaster.pid"))
            .ok()?
            .lines()
            .next()?
            .parse()
            .ok()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.postmaster().is_some_and(lives) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn lives(process: i32) -> bool {
    kill(Pid::from_raw(process), None).is_ok()
}

pub(crate) fn parlance(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
    command
        .current_dir(data.parent().unwrap())
        .env_remove("DATABASE_URL")
        .env("DATA_DIR", data)
        .env("LISTEN_ADDR", "127.0.0.1:0");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A server as a child process.
pub(crate) struct Server {
    child: Child,
    pub url: String,
    pub log: Arc<Mutex<String>>,
}

/// A failing test leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Server {
    /// Starts the server and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_as(&mut parlance(data))
    }

    /// Like [`Server::start`], with another command line or environment.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, receiver) = mpsc::channel();
        let (stderr, written) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("serves ") {
                    sender
                        .send(url.trim().split('"').next().unwrap().to_owned())
                        .unwrap();
                }
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let url = receiver
            .recv_timeout(Duration::from_mins(1))
            .unwrap_or_else(|_| panic!("no start: {}", log.lock().unwrap()));
        Self { child, url, log }
    }

    /// The first lines of its standard output.
    pub(crate) fn says(&mut self, lines: usize) -> Vec<String> {
        let stdout = BufReader::new(self.child.stdout.take().unwrap());
        stdout.lines().take(lines).map(Result::unwrap).collect()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Returns `true` when its log contains this.
    pub(crate) fn logged(&self, words: &str) -> bool {
        self.log.lock().unwrap().contains(words)
    }

    /// Stops it like an operator.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log.lock().unwrap());
    }

    fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.child.wait().unwrap();
    }

    async fn is_ready(&self) -> bool {
        reqwest::get(format!("{}/readyz", self.url))
            .await
            .is_ok_and(|answer| answer.status() == 200)
    }
}

fn run(command: &mut Command) -> Output {
    command.spawn().unwrap().wait_with_output().unwrap()
}

fn psql(data: &Path, statement: &str) -> String {
    let output = run(parlance(data).args(["psql", "-qtAc", statement]));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Expects that it does not start, and returns its sentence.
fn refuses(command: &mut Command) -> String {
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .last()
        .unwrap()
        .to_owned()
}

const KEEP: &str = "create table if not exists kept (n int); insert into kept values (1)";

const KEPT: &str = "select count(*) from kept";
