//! The embedded PostgreSQL, through the program itself: it starts on nothing, survives being killed in
//! every way, and never touches what it should not.

use std::{
    io::{BufRead, BufReader},
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, atomic::AtomicU32, mpsc},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::world::eventually;

/// A directory for a test's data, removed with it. Others may pass through: PostgreSQL does not run as
/// root.
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

    /// The process that `postmaster.pid` names.
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

/// A server that runs as a child.
pub(crate) struct Server {
    child: Child,
    pub url: String,
    pub log: Arc<Mutex<String>>,
}

/// A test that fails leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Server {
    /// Starts it and waits until it serves.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_as(&mut parlance(data))
    }

    /// As [`Server::start`], with what else it is told.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (tell, told) = mpsc::channel();
        let (stderr, written) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("serves ") {
                    tell.send(url.trim().split('"').next().unwrap().to_owned())
                        .unwrap();
                }
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let url = told
            .recv_timeout(Duration::from_mins(1))
            .unwrap_or_else(|_| panic!("no start: {}", log.lock().unwrap()));
        Self { child, url, log }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Whether its log says so.
    pub(crate) fn logged(&self, words: &str) -> bool {
        self.log.lock().unwrap().contains(words)
    }

    /// Ends it as an operator does; how long that took.
    pub(crate) fn stop(mut self) -> Duration {
        let begun = Instant::now();
        self.signal(Signal::SIGTERM);
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", self.log.lock().unwrap());
        begun.elapsed()
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

/// It does not start, and says why in one sentence.
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

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_on_nothing_safely_and_stops_within_ten_seconds() {
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    assert!(server.is_ready().await);
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ] {
        assert_eq!(
            psql(&dir.data(), &format!("show {setting}")),
            value,
            "{setting}"
        );
    }
    // Only its own user gets to the socket and to the data.
    for private in ["run", "postgres"] {
        assert_eq!(
            std::fs::metadata(dir.data().join(private)).unwrap().mode() & 0o077,
            0,
            "{private}"
        );
    }
    if nix::unistd::geteuid().is_root() {
        assert_ne!(std::fs::metadata(dir.postgres()).unwrap().uid(), 0);
    }
    psql(&dir.data(), KEEP);
    let postmaster = dir.postmaster().unwrap();
    assert!(server.stop() < Duration::from_secs(10));
    assert!(!lives(postmaster));
    let server = Server::start(&dir.data());
    assert_eq!(psql(&dir.data(), KEPT), "1");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_before_the_end() {
    use std::io::{Read, Write};
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    let mut socket =
        std::net::TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    socket.write_all(b"POST /?srv=chatserver&api=chatlogin HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\n").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.signal(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(300)).await;
    socket.write_all(b"{}").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("bad_request"),
        "{answer}"
    );
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_is_killed_its_database_ends_cleanly_and_the_next_start_finds_all() {
    let dir = Dir::new();
    for n in 1..=3 {
        let server = Server::start(&dir.data());
        psql(&dir.data(), KEEP);
        let postmaster = dir.postmaster().unwrap();
        server.kill();
        if n == 2 {
            // Sometimes one waits; the other times the next start comes while this one is ending.
            eventually("the database's end", async || !lives(postmaster)).await;
            assert_eq!(dir.postmaster(), None, "it did not end cleanly");
        }
    }
    let server = Server::start(&dir.data());
    assert_eq!(psql(&dir.data(), KEPT), "3");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_database_is_killed_the_server_starts_it_again() {
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    psql(&dir.data(), KEEP);
    for _ in 0..2 {
        let postmaster = dir.postmaster().unwrap();
        kill(Pid::from_raw(postmaster), Signal::SIGKILL).unwrap();
        eventually("another database", async || {
            dir.postmaster().is_some_and(|other| other != postmaster)
        })
        .await;
        eventually("readiness", async || server.is_ready().await).await;
    }
    assert_eq!(psql(&dir.data(), KEPT), "1");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_both_are_killed_the_next_start_recovers() {
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    psql(&dir.data(), KEEP);
    let postmaster = dir.postmaster().unwrap();
    kill(Pid::from_raw(postmaster), Signal::SIGKILL).unwrap();
    server.kill();
    assert_eq!(dir.postmaster(), Some(postmaster), "a stale file is left");
    let server = Server::start(&dir.data());
    assert_eq!(psql(&dir.data(), KEPT), "1");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_data_is_refused_and_the_command_line_joins_the_first() {
    let dir = Dir::new();
    let server = Server::start(&dir.data());
    let postmaster = dir.postmaster();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("another server, or a command, runs on") && sentence.contains("data"),
        "{sentence}"
    );
    let list = run(parlance(&dir.data()).args(["user", "list"]));
    assert!(list.status.success());
    assert_eq!(dir.postmaster(), postmaster);
    assert!(server.is_ready().await);
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_needs_no_server() {
    let dir = Dir::new();
    for _ in 0..2 {
        let list = run(parlance(&dir.data()).args(["user", "list"]));
        assert_eq!(
            String::from_utf8_lossy(&list.stdout),
            "There are no users yet.\n",
            "{}",
            String::from_utf8_lossy(&list.stderr)
        );
        assert_eq!(dir.postmaster(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_the_same_moment_do_not_end_each_others_database() {
    let dir = Dir::new();
    for _ in 0..3 {
        let commands: Vec<_> = (0..6)
            .map(|n| {
                parlance(&dir.data())
                    .args(["user", "apikey", &format!("bot{n}@example.org")])
                    .spawn()
                    .unwrap()
            })
            .collect();
        for command in commands {
            let output = command.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    // A server that starts meanwhile waits for a command, too.
    let command = parlance(&dir.data())
        .args(["user", "list"])
        .spawn()
        .unwrap();
    // Not before the command has begun: it would be a guest, whom a server that ends does not wait for.
    eventually("the command's database", async || {
        dir.postmaster().is_some_and(lives)
    })
    .await;
    Server::start(&dir.data()).stop();
    assert!(command.wait_with_output().unwrap().status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_or_another_process_left_behind_is_no_obstacle() {
    let dir = Dir::new();
    // A cluster that was half made, and a number that another process has by now: this one, or the
    // PostgreSQL of someone else.
    std::fs::create_dir_all(dir.data().join("postgres-unfinished/base")).unwrap();
    run(parlance(&dir.data()).arg("migrate"));
    for process in [std::process::id().cast_signed(), crate::world::postmaster()] {
        std::fs::write(
            dir.postgres().join("postmaster.pid"),
            format!("{process}\n{}\n", dir.postgres().display()),
        )
        .unwrap();
        Server::start(&dir.data()).stop();
    }
    assert!(lives(crate::world::postmaster()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_another_program_of_the_same_user_has_since_a_power_cut_is_no_obstacle() {
    let dir = Dir::new();
    run(parlance(&dir.data()).arg("migrate"));
    let data = std::fs::metadata(dir.postgres()).unwrap();
    // It even works in the data's own directory.
    let mut sleep = Command::new("sleep");
    let mut other = sleep
        .arg("600")
        .uid(data.uid())
        .gid(data.gid())
        .current_dir(dir.postgres())
        .spawn()
        .unwrap();
    let (run, number) = (dir.data().join("run"), other.id());
    for with_pid_file in [true, false] {
        let text = format!(
            "{number}\n{}\n1700000000\n5432\n{}\n",
            dir.postgres().display(),
            run.display()
        );
        std::fs::write(run.join(".s.PGSQL.5432.lock"), &text).unwrap();
        if with_pid_file {
            std::fs::write(dir.postgres().join("postmaster.pid"), text + "\n").unwrap();
        }
        let begun = Instant::now();
        Server::start(&dir.data()).stop();
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it was waited for"
        );
    }
    assert_eq!(
        other.try_wait().unwrap(),
        None,
        "what it named was left alone"
    );
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Who owns what is there.
fn owners(dir: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let meta = entry.metadata().unwrap();
        found.push((entry.path(), meta.uid()));
        if meta.is_dir() {
            found.extend(owners(&entry.path()));
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_command_on_the_data_of_an_ordinary_user_works_as_that_user_and_changes_nothing() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: only root can try what root's command does");
        return;
    }
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    let as_nobody = |data: &Path| {
        let mut command = parlance(data);
        command.uid(uid).gid(gid);
        command
    };
    let dir = Dir::new();
    std::fs::create_dir(dir.data()).unwrap();
    std::os::unix::fs::chown(dir.data(), Some(uid), Some(gid)).unwrap();
    Server::start_as(&mut as_nobody(&dir.data())).stop();
    let all_are_theirs = || owners(&dir.data()).iter().all(|(_, owner)| *owner == uid);
    assert!(all_are_theirs());
    // One that fails, and one that works.
    let failed = refuses(
        parlance(&dir.data())
            .args(["user", "list"])
            .env("PG_BIN", "/nowhere"),
    );
    assert!(failed.contains("PG_BIN"), "{failed}");
    assert!(all_are_theirs());
    let list = run(parlance(&dir.data()).args(["user", "list"]));
    assert!(
        list.status.success(),
        "{}",
        String::from_utf8_lossy(&list.stderr)
    );
    assert!(all_are_theirs());
    let server = Server::start_as(&mut as_nobody(&dir.data()));
    assert!(
        run(parlance(&dir.data()).args(["user", "list"]))
            .status
            .success()
    );
    server.stop();

    // Where root comes first, what it makes is the owner's.
    let dir = Dir::new();
    std::fs::create_dir(dir.data()).unwrap();
    std::os::unix::fs::chown(dir.data(), Some(uid), Some(gid)).unwrap();
    assert!(
        run(parlance(&dir.data()).args(["user", "list"]))
            .status
            .success()
    );
    Server::start_as(&mut as_nobody(&dir.data())).stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_major_version_is_refused_and_not_touched() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.postgres()).unwrap();
    std::fs::write(dir.postgres().join("PG_VERSION"), "9.6\n").unwrap();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("PostgreSQL 9.6") && sentence.contains("pg_upgrade"),
        "{sentence}"
    );
    let files: Vec<_> = std::fs::read_dir(dir.postgres()).unwrap().collect();
    assert_eq!(files.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_holds_something_else_is_refused_and_not_touched() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.postgres()).unwrap();
    std::fs::write(dir.postgres().join("diary"), "mine").unwrap();
    assert!(refuses(&mut parlance(&dir.data())).contains("nothing was touched"));
    assert_eq!(
        std::fs::read_to_string(dir.postgres().join("diary")).unwrap(),
        "mine"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_has_only_begun_to_start_ends_with_its_server_too() {
    let dir = Dir::new();
    let (programs, marks) = (dir.0.join("programs"), dir.0.join("marks"));
    for folder in [&programs, &marks] {
        std::fs::create_dir(folder).unwrap();
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mark = marks.join("begun");
    let real = ::parlance::store::embedded::program(&crate::world::settings(), "postgres")
        .await
        .unwrap();
    let real = real.parent().unwrap();
    for program in std::fs::read_dir(real).unwrap().flatten() {
        let name = program.file_name().into_string().unwrap();
        // A shell has its background commands ignore SIGINT until they say otherwise: PostgreSQL does, after a while.
        let waits = if name == "postgres" {
            "case $1 in -D) echo $$ >$mark.new; mv $mark.new $mark; sleep 2;; esac"
        } else {
            ""
        };
        let script = format!(
            "#!/bin/sh\nmark={}\n{waits}\nexec {}/{name} \"$@\"\n",
            mark.display(),
            real.display()
        );
        std::fs::write(programs.join(&name), script).unwrap();
        std::fs::set_permissions(programs.join(&name), std::fs::Permissions::from_mode(0o755))
            .unwrap();
    }
    let mut server = parlance(&dir.data())
        .env("PG_BIN", &programs)
        .spawn()
        .unwrap();
    eventually("a database", async || mark.exists()).await;
    server.kill().unwrap();
    server.wait().unwrap();
    let postmaster: i32 = std::fs::read_to_string(&mark)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    eventually("the database's end", async || !lives(postmaster)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_are_not_there_are_one_sentence() {
    let dir = Dir::new();
    let sentence = refuses(parlance(&dir.data()).env("PG_BIN", dir.0.join("nowhere")));
    assert!(
        sentence.contains("PG_BIN") && sentence.contains("nowhere"),
        "{sentence}"
    );
    assert!(!dir.postgres().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_path_does_not_matter() {
    let dir = Dir::new();
    let data = dir.0.join("d".repeat(120));
    let server = Server::start(&data);
    assert_eq!(psql(&data, "select 1"), "1");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_database_cannot_reach_is_one_sentence() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = Dir::new();
    std::fs::set_permissions(&dir.0, std::fs::Permissions::from_mode(0o700)).unwrap();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("cannot reach") && sentence.contains("DATA_DIR"),
        "{sentence}"
    );
}
