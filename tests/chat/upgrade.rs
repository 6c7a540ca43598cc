//! PostgreSQL's package is upgraded while the embedded server runs.

use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
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

/// Replaceable programs: `postgres` and `initdb` are copies, the others are links.
async fn programs(dir: &Dir) -> (PathBuf, PathBuf) {
    let real = store::embedded::program(&settings(), "postgres")
        .await
        .unwrap();
    let programs = dir.data().with_file_name("programs");
    std::fs::create_dir(&programs).unwrap();
    std::fs::set_permissions(&programs, std::fs::Permissions::from_mode(0o755)).unwrap();
    for program in std::fs::read_dir(real.parent().unwrap()).unwrap().flatten() {
        let to = programs.join(program.file_name());
        if ["postgres", "initdb"]
            .iter()
            .any(|name| program.file_name() == *name)
        {
            std::fs::copy(program.path(), to).unwrap();
        } else {
            symlink(program.path(), to).unwrap();
        }
    }
    // A process that another test forked while the copy was open for writing keeps it open until it
    // execs; until then the kernel refuses to run the copy ("text file busy").
    for program in ["postgres", "initdb"] {
        eventually("a copy that runs", async || {
            Command::new(programs.join(program))
                .arg("--version")
                .output()
                .is_ok()
        })
        .await;
    }
    (programs, real)
}

/// Replaces the file of `postgres`, like a package manager.
fn replace(programs: &Path, by: &Path) {
    let new = programs.join("postgres.new");
    std::fs::copy(by, &new).unwrap();
    std::fs::rename(new, programs.join("postgres")).unwrap();
}

async fn start(dir: &Dir, programs: &Path) -> (Settings, Db, Embedded) {
    let mut settings = settings();
    (settings.data_dir, settings.pg_bin) = (dir.data(), Some(programs.to_owned()));
    let (db, embedded) = store::embedded::start(&settings, Some(Duration::from_millis(50)))
        .await
        .unwrap();
    store::migrate(&db).await.unwrap();
    (settings, db, embedded)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_whose_programs_are_replaced_starts_again_by_itself_and_loses_nothing() {
    let dir = Dir::new();
    let (programs, real) = programs(&dir).await;
    let (mut settings, db, embedded) = start(&dir, &programs).await;
    let options = PgConnectOptions::from_str(embedded.url()).unwrap();
    settings.database = Database::Given(Box::new(options.clone()));
    let world = World::start(settings, options).await;
    let (ann, ben, conversation) = world.conversation().await;
    let first = dir.postmaster();

    let stopped = Arc::new(AtomicBool::new(false));
    // Statements through the pool, which knows of the restart, wait and notice nothing.
    let statements = tokio::spawn({
        let stopped = stopped.clone();
        async move {
            while !stopped.load(Ordering::SeqCst) {
                db.run(async |c| sqlx::query("select pg_sleep(0.01)").execute(c).await)
                    .await
                    .unwrap();
            }
        }
    });
    // A client that connects by itself is refused for a moment.
    let writes = tokio::spawn({
        let (stopped, ann, conversation) = (stopped.clone(), ann.clone(), conversation.clone());
        async move {
            let mut stored = vec![];
            while !stopped.load(Ordering::SeqCst) {
                let message = message("hi");
                let answer = loop {
                    let answer = ann
                        .does("add", &conversation, json!({ "message": message }))
                        .await;
                    if answer.status != 503 {
                        break answer;
                    }
                };
                answer.ok();
                stored.push(message["ID"].clone());
            }
            stored
        }
    });

    // While the new programs are incomplete, the old ones run.
    let (mark, half) = (
        dir.data().with_file_name("mark"),
        dir.data().with_file_name("half"),
    );
    std::fs::write(
        &half,
        format!("#!/bin/sh\necho asked >>{}\nexit 1\n", mark.display()),
    )
    .unwrap();
    std::fs::set_permissions(&half, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_file(programs.join("postgres")).unwrap();
    replace(&programs, &half);
    eventually("looks at the new programs", async || {
        std::fs::read_to_string(&mark).is_ok_and(|asked| asked.lines().count() > 3)
    })
    .await;
    assert_eq!(dir.postmaster(), first);

    replace(&programs, &real);
    eventually("another PostgreSQL", async || {
        dir.postmaster().is_some_and(|other| Some(other) != first)
    })
    .await;
    // During the restart, nobody answers.
    let count = async || {
        sqlx::query_scalar::<_, i64>("select count(*) from messages")
            .fetch_one(&world.db)
            .await
            .unwrap_or(0)
    };
    eventually("its return", async || count().await > 0).await;
    let before = count().await;
    eventually("more messages", async || count().await > before + 5).await;
    stopped.store(true, Ordering::SeqCst);
    statements.await.unwrap();
    let stored = writes.await.unwrap();
    let ids: Vec<_> = ben
        .reads_all(&conversation)
        .await
        .iter()
        .map(|message| message["ID"].clone())
        .collect();
    assert_eq!(ids, stored);
    world.end().await;
    embedded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_uses_the_database_is_not_cut_by_the_restart() {
    let dir = Dir::new();
    let (programs, real) = programs(&dir).await;
    let (_, db, embedded) = start(&dir, &programs).await;
    let first = dir.postmaster();
    let mut command = parlance(&dir.data());
    let psql = command
        .env("PG_BIN", &programs)
        .args(["psql", "-qtAc", "select pg_sleep(2), 'done'"])
        .spawn()
        .unwrap();
    let running = "select count(*) from pg_stat_activity where application_name = 'psql' and state = 'active'";
    let is_running = async || {
        db.run(async |c| sqlx::query_scalar::<_, i64>(running).fetch_one(c).await)
            .await
            .unwrap()
            == 1
    };
    eventually("psql's statement", is_running).await;
    replace(&programs, &real);
    let output = psql.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout).trim(),
        "|done",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    eventually("another PostgreSQL", async || {
        dir.postmaster().is_some_and(|other| Some(other) != first)
    })
    .await;
    embedded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_dies_while_its_restart_waits_for_a_command_is_started_again_at_once() {
    let dir = Dir::new();
    let (programs, real) = programs(&dir).await;
    let (_, db, embedded) = start(&dir, &programs).await;
    let first = dir.postmaster().unwrap();
    // Somebody at a psql prompt, who does not notice.
    let mut psql = parlance(&dir.data())
        .env("PG_BIN", &programs)
        .arg("psql")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let is_open = "select count(*) from pg_stat_activity where application_name = 'psql'";
    let is_open = async || {
        db.run(async |c| sqlx::query_scalar::<_, i64>(is_open).fetch_one(c).await)
            .await
            .unwrap()
            == 1
    };
    eventually("psql", is_open).await;
    // The new programs record how often they were checked. After the second check, the supervisor
    // waits for a quiet moment.
    let (mark, new) = (
        dir.data().with_file_name("mark"),
        dir.data().with_file_name("new"),
    );
    std::fs::write(
        &new,
        format!(
            "#!/bin/sh\n[ \"$1\" = -D ] || echo asked >>{}\nexec {} \"$@\"\n",
            mark.display(),
            real.display()
        ),
    )
    .unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755)).unwrap();
    replace(&programs, &new);
    let looks = || std::fs::read_to_string(&mark).map_or(0, |asked| asked.lines().count());
    // No more checks: the second one began the wait.
    let (mut before, mut same) = (0, 0);
    eventually("the wait for the command", async || {
        same = if looks() == before { same + 1 } else { 0 };
        before = looks();
        before >= 2 && same > 25
    })
    .await;
    assert_eq!(dir.postmaster(), Some(first), "the command is waited for");
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    eventually("another PostgreSQL", async || {
        dir.postmaster().is_some_and(|other| other != first)
    })
    .await;
    eventually("its answer", async || {
        db.run(async |c| sqlx::query("select 1").execute(c).await)
            .await
            .is_ok()
    })
    .await;
    psql.kill().unwrap();
    psql.wait().unwrap();
    embedded.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_dies_after_its_programs_have_moved_is_started_from_where_they_are() {
    let dir = Dir::new();
    let (programs, _) = programs(&dir).await;
    // As with Homebrew: a link to the installed version.
    let link = dir.data().with_file_name("link");
    symlink(&programs, &link).unwrap();
    let mut settings = settings();
    (settings.data_dir, settings.pg_bin) = (dir.data(), Some(link.clone()));
    // It is not checked in between.
    let (db, embedded) = store::embedded::start(&settings, Some(Duration::from_hours(1)))
        .await
        .unwrap();
    let first = dir.postmaster().unwrap();
    let other = programs.with_file_name("elsewhere");
    std::fs::rename(&programs, &other).unwrap();
    std::fs::remove_file(&link).unwrap();
    symlink(&other, &link).unwrap();
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    eventually("another PostgreSQL", async || {
        dir.postmaster().is_some_and(|other| other != first)
    })
    .await;
    eventually("its answer", async || {
        db.run(async |c| sqlx::query("select 1").execute(c).await)
            .await
            .is_ok()
    })
    .await;
    embedded.stop().await;
}
