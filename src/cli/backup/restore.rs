//! Restores a backup and compares each table with the manifest.

use std::{collections::BTreeSet, io::Write, path::Path, process::Stdio};

use super::{
    Error,
    archive::{Archive, Manifest},
    pipe,
};
use crate::{
    bench::scratch::{interrupted, scratch_directory},
    cli::{self, Purpose, program},
    settings::{Database, Settings},
    store::{
        self, Db,
        backup::Snapshot,
        embedded::{IfMissing, attach},
        file::{Examined, Fault, Finding, LeftOver, Stores},
        key_log::server_identity,
    },
};

/// Restores a backup into a scratch database, which is removed afterwards. `with_files`: files outside the
/// database are read, too. Returns also how many of them were deleted since the backup.
pub(super) async fn verify(
    settings: &Settings,
    file: &Path,
    with_files: bool,
) -> Result<(Manifest, u64), cli::Error> {
    let archive = open(file).await?;
    // A directory of its own: verifying must neither depend on a running server nor disturb it.
    let dir = scratch_directory("parlance-verify")?;
    let scratch = Settings {
        data_dir: dir.join("data"),
        database: Database::Embedded,
        ..settings.clone()
    };
    let result = fill(&scratch, archive, async |db| {
        if with_files {
            read_files(settings, db).await
        } else {
            Ok(0)
        }
    })
    .await;
    if let Err(error) = tokio::fs::remove_dir_all(&dir).await {
        // Not an error: it is in the directory for temporary files, which the system cleans up.
        tracing::debug!(%error, dir = %dir.display(), "the scratch database could not be removed");
    }
    result
}

/// Restores a backup into the database that the settings name. Returns also the stores of files in which
/// nothing is deleted until they are adopted.
pub(super) async fn restore(
    settings: &Settings,
    file: &Path,
) -> Result<(Manifest, Vec<String>), cli::Error> {
    let archive = open(file).await?;
    fill(settings, archive, async |db| {
        Ok(store::file::disown(db).await?)
    })
    .await
}

async fn open(file: &Path) -> Result<Archive, cli::Error> {
    let path = file.to_owned();
    let archive = tokio::task::spawn_blocking(move || Archive::open(&path)).await??;
    // Checked before anything is restored: this version could fill the tables of a newer one, and
    // then not understand them.
    let newest = store::MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max();
    if Some(archive.manifest.migration) > newest {
        return Err(Error::Newer {
            file: file.to_owned(),
            version: archive.manifest.parlance,
        }
        .into());
    }
    Ok(archive)
}

/// Restores a backup into an empty database, compares it, migrates it, has the doctor check it, and does
/// this with it.
async fn fill<T>(
    settings: &Settings,
    archive: Archive,
    work: impl AsyncFnOnce(&Db) -> Result<T, cli::Error>,
) -> Result<(Manifest, T), cli::Error> {
    // Attached first and detached last, also after Ctrl-C: a PostgreSQL that this command started
    // has to be shut down cleanly.
    let attached = attach(settings, IfMissing::Create).await?;
    let filled = async {
        let manifest = fill_attached(settings, &attached.db, archive).await?;
        Ok((manifest, work(&attached.db).await?))
    };
    let result = tokio::select! {
        result = filled => result,
        () = interrupted() => Err(cli::Error::Interrupted),
    };
    attached.detach().await;
    result
}

async fn fill_attached(
    settings: &Settings,
    db: &Db,
    archive: Archive,
) -> Result<Manifest, cli::Error> {
    let mut before = Snapshot::take(db).await?;
    if !before.tables().await?.is_empty() {
        return Err(Error::NotEmpty.into());
    }
    before.release().await?;
    let manifest = pg_restore(settings, archive).await?;
    compare(db, &manifest).await?;
    // Migrated after the comparison, as a migration may change rows.
    store::migrate(db).await?;
    let findings = store::doctor::examine(db).await?;
    if let Some(finding) = findings.first() {
        let finding = format!(
            "{} ({}, for example {}): {}",
            finding.rule.name(),
            finding.count,
            finding.example,
            finding.rule.meaning()
        );
        return Err(Error::Unhealthy(finding).into());
    }
    Ok(manifest)
}

/// Reads all files outside the database. Returns how many were deleted since the backup, which is
/// no fault of it.
async fn read_files(settings: &Settings, scratch: &Db) -> Result<u64, cli::Error> {
    let stores = Stores::new(settings.stores.clone());
    // What is not in the backup was uploaded later.
    let mut examined = store::file::examine(scratch, &stores, LeftOver::Ignore).await?;
    let is_missing = |finding: &Finding| finding.fault == Fault::Missing;
    let mut deleted = 0;
    let mut unknown = String::new();
    if examined.findings().iter().any(is_missing) {
        match leave_out_deleted(settings, scratch, &mut examined).await {
            Ok(count) => deleted = count,
            Err(error) => {
                unknown = format!(
                    "; whether they were deleted since is not known, as the server's database cannot tell: {}",
                    error.with_causes()
                );
            }
        }
    }
    let findings = examined.findings();
    if findings.is_empty() {
        return Ok(deleted);
    }
    let findings: Vec<String> = findings
        .iter()
        .map(|finding| {
            format!(
                "{} ({}, for example {}): {}{}",
                finding.fault.name(),
                finding.count,
                finding.example,
                finding.fault.meaning(),
                if is_missing(finding) { &unknown } else { "" }
            )
        })
        .collect();
    Err(Error::Unhealthy(findings.join("; ")).into())
}

/// Asks the database that the settings name, if it is that of the server of this backup.
async fn leave_out_deleted(
    settings: &Settings,
    scratch: &Db,
    examined: &mut Examined,
) -> Result<u64, cli::Error> {
    let (backed_up, _) = server_identity(scratch).await?;
    cli::with_database(settings, Purpose::Look, async |present| {
        let (asked, _) = server_identity(present).await?;
        if asked != backed_up {
            return Err("it is another server's".to_owned().into());
        }
        Ok(examined.leave_out_deleted(present).await?)
    })
    .await
}

/// Writes a backup's dump to `pg_restore`.
async fn pg_restore(settings: &Settings, mut archive: Archive) -> Result<Manifest, cli::Error> {
    let (mut pg_restore, url) = program::on_database(settings, "pg_restore").await?;
    pg_restore.args([
        // All or nothing: somebody would have to drop a half-filled database by hand.
        "--single-transaction",
        "--exit-on-error",
        "--no-owner",
        "--no-privileges",
        "--dbname",
        &url,
    ]);
    let (mut child, mut guard) = pipe::start(&mut pg_restore, Stdio::piped(), Stdio::null())?;
    let restored = tokio::task::spawn_blocking(move || {
        let (Some(mut input), Some(stderr)) = (child.stdin.take(), child.stderr.take()) else {
            return Err(cli::Error::Message("pg_restore has no input".to_owned()));
        };
        let stderr = pipe::read_stderr(stderr);
        let copied = archive.copy(|part| input.write_all(part));
        // `pg_restore` ends only when its input is closed.
        drop(input);
        // Checked before the broken pipe: if pg_restore failed, its stderr says why.
        pipe::wait(child, stderr, "pg_restore")?;
        copied.map_err(|source| Error::Read {
            file: archive.path.clone(),
            source,
        })?;
        Ok(archive.manifest)
    });
    let restored = restored.await;
    guard.disarm();
    restored?
}

async fn compare(db: &Db, manifest: &Manifest) -> Result<(), cli::Error> {
    let mut after = Snapshot::take(db).await?;
    let tables = after.tables().await?;
    after.release().await?;
    // The names of both sides, as a table that only one of them has is a difference too; each once.
    let different: BTreeSet<&str> = manifest
        .tables
        .keys()
        .chain(tables.keys())
        .filter(|name| tables.get(*name) != manifest.tables.get(*name))
        .map(String::as_str)
        .collect();
    if different.is_empty() {
        return Ok(());
    }
    let different: Vec<&str> = different.into_iter().collect();
    Err(Error::Different(different.join(", ")).into())
}
