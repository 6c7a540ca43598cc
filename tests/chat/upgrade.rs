//! PostgreSQL's package is upgraded beneath the embedded server.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parlance::{
    settings::{Database, Settings},
    store::{self, Db, embedded::Embedded},
};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;

use crate::{
    embedded::{Dir, parlance},
    world::{World, eventually, message, settings},
};

/// Programs that can be replaced: the server and what makes a cluster are copies, the others links.
fn programs(dir: &Dir) -> (PathBuf, PathBuf) {
    let real = store::embedded::program(&settings(), "postgres").unwrap();
    let programs = dir.data().with_file_name("programs");
    std::fs::create_dir(&programs).unwrap();
    std::fs::set_permissions(&programs, std::fs::Permissions::from_mode(0o755)).unwrap();
    for program in std::fs::read_dir(real.parent().unwrap()).unwrap().flatten() {
        let to = programs.join(program.file_name());
        if ["postgres", "initdb"].iter().any(|name| program.file_name() == *name) {
            std::fs::copy(program.path(), to).unwrap();
        } else {
            symlink(program.path(), to).unwrap();
        }
    }
    (programs, real)
}

/// Puts another file in the place of the server's, as a package does.
fn replace(programs: &Path, by: &Path) {
    let new = programs.join("postgres.new");
    std::fs::copy(by, &new).unwrap();
    std::fs::rename(new, programs.join("postgres")).unwrap();
}

async fn start(dir: &Dir, programs: &Path) -> (Settings, Db, Embedded) {
    let mut settings = settings();
    (settings.data_dir, settings.pg_bin) = (dir.data(), Some(programs.to_owned()));
    let (db, embedded) = store::embedded::start(&settings, Some(Duration::from_millis(50))).await.unwrap();
    store::migrate(&db).await.unwrap();
    (settings, db, embedded)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_whose_programs_are_replaced_starts_again_by_itself_and_loses_nothing() {
    let dir = Dir::new();
    let (programs, real) = programs(&dir);
    let (mut settings, db, embedded) = start(&dir, &programs).await;
    let options = PgConnectOptions::from_str(embedded.url()).unwrap();
    settings.database = Database::Given(Box::new(options.clone()));
    let world = World::on(settings, options).await;
    let (ann, ben, talk) = world.talk().await;
    let first = dir.postmaster();

    let is_over = Arc::new(AtomicBool::new(false));
    // What goes through the pool that knows of the restart waits, and notices nothing.
    let statements = tokio::spawn({
        let is_over = is_over.clone();
        async move {
            while !is_over.load(Ordering::SeqCst) {
                db.run(async |c| sqlx::query("select pg_sleep(0.01)").execute(c).await).await.unwrap();
            }
        }
    });
    // A server that does not know of it refuses for a moment.
    let writes = tokio::spawn({
        let (is_over, ann, talk) = (is_over.clone(), ann.clone(), talk.clone());
        async move {
            let mut stored = vec![];
            while !is_over.load(Ordering::SeqCst) {
                let message = message("hi");
                loop {
                    // A person writes no faster.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let answer = ann.does("add", &talk, json!({ "message": message })).await;
                    if answer.status != 503 {
                        answer.is_ok();
                        break;
                    }
                }
                stored.push(message["ID"].as_str().unwrap().to_owned());
            }
            stored
        }
    });

    // While the new programs are not complete, the old ones run.
    let (mark, half) = (dir.data().with_file_name("mark"), dir.data().with_file_name("half"));
    std::fs::write(&half, format!("#!/bin/sh\necho asked >>{}\nexit 1\n", mark.display())).unwrap();
    std::fs::set_permissions(&half, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(programs.join("postgres")).unwrap();
    replace(&programs, &half);
    eventually("looks at the new programs", async || std::fs::read_to_string(&mark).is_ok_and(|asked| asked.lines().count() > 3)).await;
    assert_eq!(dir.postmaster(), first);

    replace(&programs, &real);
    eventually("another PostgreSQL", async || dir.postmaster().is_some_and(|other| Some(other) != first)).await;
    // While it starts again, nobody is there to ask.
    let count = async || sqlx::query_scalar::<_, i64>("select count(*) from messages").fetch_one(&world.db).await.unwrap_or(0);
    eventually("its return", async || count().await > 0).await;
    let before = count().await;
    eventually("more messages", async || count().await > before + 5).await;
    is_over.store(true, Ordering::SeqCst);
    statements.await.unwrap();
    let stored = writes.await.unwrap();
    assert_eq!(ben.reads_all(&talk).await, stored);
    world.end().await;
    embedded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_uses_the_database_is_not_cut_by_the_restart() {
    let dir = Dir::new();
    let (programs, real) = programs(&dir);
    let (_, db, embedded) = start(&dir, &programs).await;
    let first = dir.postmaster();
    let mut command = parlance(&dir.data());
    let psql = command.env("PG_BIN", &programs).args(["psql", "-qtAc", "select pg_sleep(2), 'done'"]).spawn().unwrap();
    let running = "select count(*) from pg_stat_activity where application_name = 'psql' and state = 'active'";
    let is_running = async || db.run(async |c| sqlx::query_scalar::<_, i64>(running).fetch_one(c).await).await.unwrap() == 1;
    eventually("psql's statement", is_running).await;
    replace(&programs, &real);
    let output = psql.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "|done", "{}", String::from_utf8_lossy(&output.stderr));
    eventually("another PostgreSQL", async || dir.postmaster().is_some_and(|other| Some(other) != first)).await;
    embedded.stop().await;
}
