//! The cluster on disk: made once, never deleted, never touched by another major version.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use tokio::time::{Instant, sleep};

use super::{NAME, POLL, place::Place, programs::Programs};

/// The major version that made the data. `None`: there is none yet.
pub(super) fn version(data: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(data.join("PG_VERSION")) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
                return Err(format!(
                    "{} holds something that is no PostgreSQL data; nothing was touched",
                    data.display()
                ));
            }
            Ok(None)
        }
        Err(error) => Err(format!("{} cannot be read: {error}", data.display())),
    }
}

/// Refuses data of another major version than the programs'.
pub(super) fn check_version(data: Option<&str>, programs: &Programs) -> Result<(), String> {
    match data {
        Some(version) if version != programs.major => Err(format!(
            "the data was made by PostgreSQL {version}, and the programs are of PostgreSQL {}: nothing was touched. Install PostgreSQL {version} (or name its programs in PG_BIN), or move the data with pg_upgrade, or with pg_dump and psql",
            programs.major
        )),
        _ => Ok(()),
    }
}

/// Makes the cluster: aside, and moved into place when it is whole, so that none is ever half made.
pub(super) async fn make(place: &Place, programs: &Programs) -> Result<(), String> {
    let aside = place.data.with_file_name("postgres-unfinished");
    let failed = |error: io::Error| format!("{} cannot be made: {error}", aside.display());
    match std::fs::remove_dir_all(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::fs::create_dir(&aside).map_err(failed)?;
    place.give_to_owner(&aside).map_err(failed)?;
    let locale = if cfg!(target_os = "macos") {
        "C"
    } else {
        "C.UTF-8"
    };
    let mut initdb = Command::new(programs.path("initdb"));
    initdb.arg("-D").arg(&aside).args([
        "--username",
        NAME,
        "--auth",
        "trust",
        "--data-checksums",
        "--encoding",
        "UTF8",
        "--locale",
        locale,
    ]);
    place.run_as_owner(&mut initdb);
    let output = tokio::process::Command::from(initdb)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(failed)?;
    if !output.status.success() {
        return Err(format!(
            "initdb failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    std::fs::rename(&aside, &place.data).map_err(failed)
}

/// Makes the database, if the cluster does not have it.
pub(super) async fn ensure_database(options: &PgConnectOptions) -> Result<(), String> {
    let failed = |error: sqlx::Error| format!("the database cannot be made: {error}");
    let mut connection = options
        .clone()
        .database("postgres")
        .connect()
        .await
        .map_err(failed)?;
    let there = sqlx::query_scalar!(
        r#"select exists (select from pg_database where datname = $1) as "there!""#,
        NAME
    )
    .fetch_one(&mut connection)
    .await
    .map_err(failed)?;
    if !there {
        sqlx::query!("create database parlance")
            .execute(&mut connection)
            .await
            .map_err(failed)?;
    }
    connection.close().await.map_err(failed)
}

/// Waits for a server that still holds the data to end: one whose parent was killed is shutting down.
/// What a `kill -9` or a power cut left behind is no obstacle: the data is locked for us, and its socket's directory is
/// private, so a number there that is not of a PostgreSQL on this data is one that another process has by now.
/// PostgreSQL itself would take that for a server.
///
/// # Errors
/// A sentence, if it does not end: someone else started it.
pub(super) async fn await_predecessor(place: &Place, patience: Duration) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    for file in [place.data.join("postmaster.pid"), place.socket_lock()] {
        while let Ok(text) = std::fs::read_to_string(&file) {
            let pid = text
                .lines()
                .next()
                .and_then(|line| line.trim().parse().ok());
            let pid = match pid {
                Some(pid) if is_on(pid, &place.data)? => Some(pid),
                _ => None,
            };
            let Some(pid) = pid else {
                match std::fs::remove_file(&file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(format!("{} cannot be removed: {error}", file.display()));
                    }
                    _ => break,
                }
            };
            if Instant::now() > deadline {
                return Err(format!(
                    "another PostgreSQL (process {pid}) runs on {}; nothing was touched",
                    place.data.display()
                ));
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}

/// Whether a process lives and is a PostgreSQL on this data: it is called so, and works in its data directory.
///
/// # Errors
/// A sentence: it lives, and cannot be looked at.
fn is_on(pid: i32, data: &Path) -> Result<bool, String> {
    let is_gone = || {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None)
            == Err(nix::errno::Errno::ESRCH)
    };
    if is_gone() {
        return Ok(false);
    }
    if !Path::new("/proc/self/cwd").exists() {
        // Where processes cannot be looked at, one that lives is believed to be.
        return Ok(true);
    }
    let line = match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        // It ended meanwhile.
        Err(_) if is_gone() => return Ok(false),
        Err(error) => {
            return Err(format!(
                "whether process {pid} is a PostgreSQL on {} cannot be seen ({error}); nothing was touched. If it is not, remove postmaster.pid there",
                data.display()
            ));
        }
    };
    let mut words = line.split(|byte| *byte == 0);
    let name = words
        .next()
        .and_then(|word| word.rsplit(|byte| *byte == b'/').next())
        .unwrap_or_default();
    if !name.starts_with(b"postgres") && !name.starts_with(b"postmaster") {
        return Ok(false);
    }
    let data = std::fs::canonicalize(data)
        .map_err(|error| format!("{} cannot be read: {error}", data.display()))?;
    Ok(match std::fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(place) => place == data,
        // Where one may not look, its command line says where it works.
        Err(_) => words.any(|word| word == data.as_os_str().as_encoded_bytes()),
    })
}
