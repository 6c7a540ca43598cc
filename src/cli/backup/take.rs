//! Takes a backup: `pg_dump` reads one snapshot of the database, which is held open while writers
//! go on.

use std::{
    io::{self, IsTerminal},
    path::Path,
    process::{Child, Stdio},
};

use parlance_wire::time::Timestamp;

use super::{
    Error,
    archive::{self, Manifest, Writer},
    pipe,
};
use crate::{
    bench::scratch::interrupted,
    cli::{self, program},
    settings::Settings,
    store::{
        Db,
        backup::Snapshot,
        embedded::{IfMissing, attach},
    },
};

/// Where a backup goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    File(&'a Path),
    Stdout,
}

/// Writes the present contents of the database.
pub(super) async fn take(settings: &Settings, target: Target<'_>) -> Result<Manifest, cli::Error> {
    let Target::File(file) = target else {
        if io::stdout().is_terminal() {
            return Err(Error::Terminal.into());
        }
        return run(
            settings,
            || Ok(Writer::stdout()),
            Path::new("standard output"),
        )
        .await;
    };
    // Also checked at the end, when the file gets its name; checking now may save the time of a
    // dump.
    if file.exists() {
        return Err(Error::Exists(file.to_owned()).into());
    }
    // Written under another name until it is complete, so that the final name never leads to half a
    // backup.
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let create = || Writer::create(part);
    let manifest = run(settings, create, part).await?;
    archive::publish(part, file).map_err(cannot_write(file))?;
    Ok(manifest)
}

/// Writes to what `open` opens, which is called `name` in errors.
async fn run(
    settings: &Settings,
    open: impl FnOnce() -> io::Result<Writer>,
    name: &Path,
) -> Result<Manifest, cli::Error> {
    let attached = attach(settings, IfMissing::Fail).await?;
    let result = tokio::select! {
        result = write(settings, &attached.db, open, name) => result,
        () = interrupted() => Err(cli::Error::Interrupted),
    };
    attached.detach().await;
    result
}

async fn write(
    settings: &Settings,
    db: &Db,
    open: impl FnOnce() -> io::Result<Writer>,
    name: &Path,
) -> Result<Manifest, cli::Error> {
    let mut snapshot = Snapshot::take(db).await?;
    let migration = snapshot.migration.ok_or(Error::NothingThere)?;
    let taken_at = Timestamp::now().to_string();
    let (mut pg_dump, url) = program::on_database(settings, "pg_dump").await?;
    pg_dump.args([
        "--format=custom",
        // Ciphertext hardly compresses, whatever the effort.
        "--compress=1",
        // A restore usually runs under other roles.
        "--no-owner",
        "--no-privileges",
        "--snapshot",
        &snapshot.id,
        &url,
    ]);
    let writer = open().map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Unfinished(name.to_owned()),
        _ => cannot_write(name)(error),
    })?;
    let (child, mut guard) = pipe::start(&mut pg_dump, Stdio::null(), Stdio::piped())?;
    let path = name.to_owned();
    let dumped = tokio::task::spawn_blocking(move || dump(child, writer, &path));
    // The manifest's checksums come from the same snapshot, read while pg_dump runs.
    let tables = snapshot.tables().await?;
    let dumped = dumped.await;
    guard.disarm();
    let (writer, bytes, sha256) = dumped??;
    let manifest = Manifest {
        format: archive::FORMAT,
        parlance: env!("CARGO_PKG_VERSION").into(),
        postgres: snapshot.postgres.clone(),
        migration,
        taken_at,
        bytes,
        sha256,
        tables,
    };
    // Not earlier: `pg_dump` imports the snapshot some time after it starts, which needs this
    // transaction to be open.
    snapshot.release().await?;
    writer.end(&manifest).map_err(cannot_write(name))?;
    Ok(manifest)
}

fn cannot_write(file: &Path) -> impl FnOnce(io::Error) -> Error {
    let file = file.to_owned();
    move |source| Error::Write { file, source }
}

fn dump(
    mut child: Child,
    mut writer: Writer,
    path: &Path,
) -> Result<(Writer, u64, String), cli::Error> {
    let (Some(mut output), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("pg_dump has no output".to_owned().into());
    };
    let stderr = pipe::read_stderr(stderr);
    let written = writer.dump(&mut output);
    // If writing failed, pg_dump would wait for ever for its output to be read.
    drop(output);
    let ended = pipe::wait(child, stderr, "pg_dump");
    // Reported before pg_dump's own error: a full disk breaks its pipe, but is the cause.
    let (bytes, sha256) = written.map_err(cannot_write(path))?;
    ended?;
    Ok((writer, bytes, sha256))
}
