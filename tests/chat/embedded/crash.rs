//! The embedded PostgreSQL loses nothing when it is killed, and always starts again.

use std::{
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    process::Command,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{Dir, KEEP, KEPT, Server, lives, parlance, psql, run};
use crate::world::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_is_killed_its_database_ends_cleanly_and_the_next_start_finds_all() {
    let dir = Dir::new();
    for n in 1..=3 {
        let server = Server::start(&dir.data());
        psql(&dir.data(), KEEP);
        let postmaster = dir.postmaster().unwrap();
        server.kill();
        if n == 2 {
            // Sometimes the test waits; otherwise the next start happens during this shutdown.
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
async fn leftovers_of_a_crash_or_another_process_do_not_prevent_a_start() {
    let dir = Dir::new();
    // A half-created cluster, and a process id that now belongs to another process: this one, or
    // someone else's PostgreSQL.
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
async fn a_process_id_reused_by_another_program_of_the_user_does_not_prevent_a_start() {
    let dir = Dir::new();
    run(parlance(&dir.data()).arg("migrate"));
    let data = std::fs::metadata(dir.postgres()).unwrap();
    // Its working directory is even the data directory.
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
        // It is not waited for: that would take longer than a start may, and end in a refusal.
        Server::start(&dir.data()).stop();
    }
    assert_eq!(
        other.try_wait().unwrap(),
        None,
        "what it named was left alone"
    );
    other.kill().unwrap();
    other.wait().unwrap();
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
        // A shell makes background commands ignore SIGINT until they install a handler; PostgreSQL
        // does so after a while.
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
