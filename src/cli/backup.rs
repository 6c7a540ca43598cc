//! `parlance backup`, `parlance backup verify`, `parlance restore`: one file, taken while the server runs, which proves
//! itself.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use clap::{Args, Subcommand};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::json;

use super::{
    archive::{self, Archive, Manifest, Writing},
    print_json, program, say,
};
use crate::{
    bench::place::{interrupted, scratch_directory},
    settings::{Database, Settings},
    store::{self, Db, backup::Snapshot},
};
use parlance_wire::time::Timestamp;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Backup {
    #[command(subcommand)]
    command: Option<Verb>,
    /// Where to; a file that is there already is not touched
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// For scripts: one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Restore a backup into a scratch database, and compare each table with what was backed up
    Verify {
        /// The backup
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup
    file: PathBuf,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes a backup, or verifies one.
pub(super) async fn run(settings: &Settings, backup: Backup) -> Result<(), String> {
    match (backup.command, backup.file) {
        (Some(Verb::Verify { file }), _) => {
            let manifest = verify(settings, &file).await?;
            tell("Verified", &file, &manifest, backup.json)
        }
        (None, Some(file)) => {
            let manifest = take(settings, &file).await?;
            tell("Backed up", &file, &manifest, backup.json)
        }
        (None, None) => Err("a file is wanted".into()),
    }
}

/// Restores a backup into an empty database, and compares.
pub(super) async fn restore(
    settings: &Settings,
    Restore { file, json }: Restore,
) -> Result<(), String> {
    let archive = open(&file).await?;
    let manifest = fill(settings, archive).await?;
    tell("Restored", &file, &manifest, json)
}

fn tell(done: &str, file: &Path, manifest: &Manifest, is_json: bool) -> Result<(), String> {
    let Manifest {
        taken_at,
        bytes,
        sha256,
        tables,
        ..
    } = manifest;
    if is_json {
        return print_json(&json!({ "file": file, "manifest": manifest }));
    }
    let (tables, rows) = (tables.len(), manifest.rows());
    say(format_args!(
        "{done}: {} of {taken_at} UTC, {tables} tables, {rows} rows, {bytes} bytes, SHA-256 {sha256}",
        file.display()
    ))
}

/// Writes what one moment of the database held. Writers go on meanwhile.
async fn take(settings: &Settings, file: &Path) -> Result<Manifest, String> {
    let failed = |error: sqlx::Error| error.to_string();
    if file.exists() {
        return Err(format!(
            "{} is there already; nothing was touched",
            file.display()
        ));
    }
    // Whoever sees the file sees a whole one.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let joined = store::embedded::join(settings).await?;
    let work = async {
        let mut snapshot = Snapshot::take(&joined.db).await.map_err(failed)?;
        let migration = snapshot
            .migration
            .ok_or("there is nothing to back up: no Parlance has used this database")?;
        let taken_at = Timestamp::now().to_string();
        let (mut pg_dump, url) = program::on_database(settings, "pg_dump")?;
        pg_dump.args([
            "--format=custom",
            "--compress=1",
            "--no-owner",
            "--no-privileges",
            "--snapshot",
            &snapshot.id,
            &url,
        ]);
        let writing = Writing::begin(&part).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} is there: another backup is being taken, or was cut short; if none is, remove it", part.display())
            }
            _ => format!("{} cannot be written: {error}", part.display()),
        })?;
        let started = pg_dump
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = started.map_err(|error| program::not_run(&pg_dump, &error))?;
        let mut running = Running::of(&child);
        let path = part.clone();
        let dumped = tokio::task::spawn_blocking(move || dump(child, writing, &path));
        let tables = snapshot.tables().await.map_err(failed)?;
        let dumped = dumped.await;
        running.has_ended();
        let (writing, bytes, sha256) = dumped.map_err(|error| error.to_string())??;
        let manifest = Manifest {
            format: 1,
            parlance: env!("CARGO_PKG_VERSION").into(),
            postgres: snapshot.postgres.clone(),
            migration,
            taken_at,
            bytes,
            sha256,
            tables,
        };
        snapshot.release().await.map_err(failed)?;
        let written = writing
            .end(&manifest)
            .and_then(|()| archive::publish(&part, file));
        written.map_err(|error| format!("{} cannot be written: {error}", file.display()))?;
        Ok(manifest)
    };
    let result = tokio::select! {
        result = work => result,
        () = interrupted() => Err("interrupted".into()),
    };
    joined.leave().await;
    result
}

/// A program that is not to outlive what it works for.
struct Running(Option<Pid>);

impl Running {
    fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).ok().map(Pid::from_raw))
    }

    fn has_ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            // One that has just ended does not mind.
            let _ = kill(process, Signal::SIGTERM);
        }
    }
}

fn dump(
    mut child: Child,
    mut writing: Writing,
    path: &Path,
) -> Result<(Writing, u64, String), String> {
    let failed = |error: io::Error| format!("{} cannot be written: {error}", path.display());
    let (Some(mut output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("pg_dump has no output".into());
    };
    let complaints = std::thread::spawn(move || read_some(errors));
    let written = writing.dump(&mut output);
    // One whose output is not read would wait for ever.
    drop(output);
    let ended = end(child, complaints, "pg_dump");
    // A full disk ends pg_dump as well: the disk is the cause.
    let (bytes, sha256) = written.map_err(failed)?;
    ended?;
    Ok((writing, bytes, sha256))
}

/// The beginning of what a program says.
fn read_some(from: impl Read) -> String {
    let mut text = vec![];
    let mut from = from.take(1 << 16);
    // What could be read is told.
    let _ = from.read_to_end(&mut text);
    let _ = io::copy(&mut from.into_inner(), &mut io::sink());
    String::from_utf8_lossy(&text).into_owned()
}

fn end(
    mut child: Child,
    complaints: std::thread::JoinHandle<String>,
    name: &str,
) -> Result<(), String> {
    let status = child.wait().map_err(|error| error.to_string())?;
    let complaints = complaints.join().unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    Err(format!(
        "{name} failed: {}",
        complaints.split_whitespace().collect::<Vec<_>>().join(" ")
    ))
}

async fn open(file: &Path) -> Result<Archive, String> {
    let path = file.to_owned();
    let archive = tokio::task::spawn_blocking(move || Archive::open(&path))
        .await
        .map_err(|error| error.to_string())??;
    let newest = store::MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or(0);
    if archive.manifest.migration > newest {
        return Err(format!(
            "{} was made by a newer Parlance ({}); start that one",
            file.display(),
            archive.manifest.parlance
        ));
    }
    Ok(archive)
}

/// Restores a backup into a database of its own, which goes again.
async fn verify(settings: &Settings, file: &Path) -> Result<Manifest, String> {
    let archive = open(file).await?;
    let dir = scratch_directory("parlance-verify")?;
    let scratch = Settings {
        data_dir: dir.join("data"),
        database: Database::Embedded,
        ..settings.clone()
    };
    let result = fill(&scratch, archive).await;
    // It is in a directory for temporary files: what cannot be removed now goes with those.
    let _ = std::fs::remove_dir_all(&dir);
    result
}

/// Fills an empty database with a backup, compares, brings it up to date, and has the doctor look.
async fn fill(settings: &Settings, archive: Archive) -> Result<Manifest, String> {
    let joined = store::embedded::join(settings).await?;
    let result = tokio::select! {
        result = fill_joined(settings, &joined.db, archive) => result,
        () = interrupted() => Err("interrupted".into()),
    };
    joined.leave().await;
    result
}

async fn fill_joined(
    settings: &Settings,
    db: &Db,
    mut archive: Archive,
) -> Result<Manifest, String> {
    let failed = |error: sqlx::Error| error.to_string();
    let mut before = Snapshot::take(db).await.map_err(failed)?;
    if !before.tables().await.map_err(failed)?.is_empty() {
        return Err(
            "the database is not empty; nothing was touched. Restore into a new one: another DATA_DIR, or another DATABASE_URL".into()
        );
    }
    before.release().await.map_err(failed)?;
    let (mut pg_restore, url) = program::on_database(settings, "pg_restore")?;
    pg_restore.args([
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--dbname",
        &url,
    ]);
    let started = pg_restore
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.map_err(|error| program::not_run(&pg_restore, &error))?;
    let mut running = Running::of(&child);
    let restored = tokio::task::spawn_blocking(move || {
        let (Some(mut input), Some(errors)) = (child.stdin.take(), child.stderr.take()) else {
            return Err("pg_restore has no input".to_owned());
        };
        let complaints = std::thread::spawn(move || read_some(errors));
        let handed_on = archive.copy(|part| input.write_all(part));
        drop(input);
        // If it failed, its complaint says more than that nobody took the input.
        end(child, complaints, "pg_restore")?;
        handed_on.map_err(|error| format!("the backup cannot be read: {error}"))?;
        Ok(archive.manifest)
    });
    let restored = restored.await;
    running.has_ended();
    let manifest = restored.map_err(|error| error.to_string())??;
    let mut after = Snapshot::take(db).await.map_err(failed)?;
    let tables = after.tables().await.map_err(failed)?;
    after.release().await.map_err(failed)?;
    let wrong: Vec<&str> = manifest
        .tables
        .keys()
        .chain(tables.keys())
        .filter(|name| tables.get(*name) != manifest.tables.get(*name))
        .map(String::as_str)
        .collect();
    if !wrong.is_empty() {
        return Err(format!(
            "what was restored is not what was backed up: {}",
            wrong.join(", ")
        ));
    }
    store::migrate(db).await?;
    let findings = store::doctor::examine(db).await.map_err(failed)?;
    if let Some(finding) = findings.first() {
        return Err(format!(
            "everything was restored as it was backed up, but the doctor finds {:?} ({}, as {}): {}",
            finding.rule,
            finding.count,
            finding.example,
            finding.rule.meaning()
        ));
    }
    Ok(manifest)
}
