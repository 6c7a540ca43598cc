//! Refusals to touch data, each with one sentence.

use std::process::{Command, Output, Stdio};

use super::{Dir, Server, parlance, refuses, run};

#[tokio::test(flavor = "multi_thread")]
async fn data_of_another_major_version_is_refused_and_not_touched() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.postgres()).unwrap();
    std::fs::write(dir.postgres().join("PG_VERSION"), "9.6\n").unwrap();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("PostgreSQL 9.6") && sentence.contains("parlance restore"),
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
async fn what_keeps_postgresql_from_starting_is_in_the_sentence() {
    let dir = Dir::new();
    Server::start(&dir.data()).stop();
    std::fs::remove_dir_all(dir.postgres().join("pg_wal")).unwrap();
    let sentence = refuses(&mut parlance(&dir.data()));
    assert!(
        sentence.contains("PostgreSQL cannot start") && sentence.contains("\"pg_wal\""),
        "{sentence}"
    );
}

/// Runs a script of the shell in which `$0` is the program and `$1` its empty disk, of so many
/// megabytes. Returns `None` where no disk can be made for a test.
fn on_a_disk(megabytes: u32, script: &str) -> Option<Output> {
    let dir = Dir::new();
    let mount = format!(
        "mount -t tmpfs -o mode=755,size={megabytes}m tmpfs \"$1\" || exit 77; cd \"$1\"; {script}"
    );
    let own = parlance(&dir.data());
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-c", &mount])
        .arg(own.get_program())
        .arg(&dir.0)
        .env_remove("DATABASE_URL")
        .env("DATA_DIR", dir.data())
        .env("LISTEN_ADDR", "127.0.0.1:0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let is_root = nix::unistd::geteuid().is_root();
    let output = is_root.then(|| run(&mut command));
    let output = output.filter(|output| output.status.code() == Some(1));
    if output.is_none() {
        eprintln!("SKIPPED: a disk of a test's own needs root, who may mount");
    }
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_in_the_sentence_whether_the_data_is_old_or_new() {
    let fill = "\"$0\" migrate >&2 && head -c 200000000 /dev/zero >filler; \"$0\" serve";
    for (megabytes, script) in [(12, "\"$0\" serve"), (120, fill)] {
        let Some(output) = on_a_disk(megabytes, script) else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stderr);
        let sentence = text.lines().last().unwrap();
        assert!(sentence.contains("No space left on device"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_disk_is_in_the_sentence_whether_the_data_is_old_or_new() {
    for first in ["", "\"$0\" migrate >&2 &&"] {
        let script = format!("{first} mount -o remount,ro \"$1\" && \"$0\" serve");
        let Some(output) = on_a_disk(120, &script) else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stderr);
        let sentence = text.lines().last().unwrap();
        assert!(sentence.contains("Read-only file system"), "{text}");
    }
}
