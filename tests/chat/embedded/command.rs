//! Commands, beside a running server and without one.

use std::{
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
};

use super::{Dir, Server, lives, parlance, refuses, run};
use crate::world::eventually;

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
    assert!(run(parlance(&dir.data()).arg("migrate")).status.success());
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
    for round in 0..3 {
        let commands: Vec<_> = (0..6)
            .map(|n| {
                let mut command = parlance(&dir.data());
                if round == 0 {
                    command.arg("migrate");
                } else {
                    command.args(["user", "apikey", &format!("bot{n}@example.org")]);
                }
                command.spawn().unwrap()
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
    // A server that starts meanwhile waits for a command as well.
    let command = parlance(&dir.data())
        .args(["user", "list"])
        .spawn()
        .unwrap();
    // Only once the command has the database: an attached command would not be waited for.
    eventually("the command's database", async || {
        dir.postmaster().is_some_and(lives)
    })
    .await;
    Server::start(&dir.data()).stop();
    assert!(command.wait_with_output().unwrap().status.success());
}

/// The owners of the files in a directory.
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

    // If root is the first user, the files still belong to the owner of the directory.
    let dir = Dir::new();
    std::fs::create_dir(dir.data()).unwrap();
    std::os::unix::fs::chown(dir.data(), Some(uid), Some(gid)).unwrap();
    assert!(run(parlance(&dir.data()).arg("migrate")).status.success());
    Server::start_as(&mut as_nobody(&dir.data())).stop();
}
