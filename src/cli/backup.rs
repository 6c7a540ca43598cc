//! `parlance backup`, `parlance backup verify` and `parlance restore`: one file, taken while the
//! server runs, with checksums that verify it.

mod archive;
mod pipe;
mod restore;
mod take;

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::json;

use self::{archive::Manifest, take::Target};
use super::say;
use crate::settings::Settings;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Backup {
    #[command(subcommand)]
    command: Option<Verb>,
    /// The file to write, which must not exist; `-` for standard output
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// For scripts: one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Restore a backup into a scratch database and compare each table with the backup's manifest
    Verify {
        /// The backup file
        file: PathBuf,
        /// Also read all files outside the database, and compare them with the hashes in the
        /// backup. Those that the server's database has no longer were deleted since, and are only counted
        #[arg(long)]
        files: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The backup file
    file: PathBuf,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// The reasons why a backup cannot be taken, verified or restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file exists already.
    #[error("{} exists already; nothing was touched", .0.display())]
    Exists(PathBuf),
    /// The unfinished file of another backup exists.
    #[error(
        "{} exists: another backup is being taken, or was cut short; if none is, remove it",
        .0.display()
    )]
    Unfinished(PathBuf),
    /// Nobody reads a backup on a terminal.
    #[error("standard output is a terminal: send the backup into a file or a pipe")]
    Terminal,
    /// The database has no migrations.
    #[error("there is nothing to back up: no Parlance has used this database")]
    NothingThere,
    /// The file cannot be written.
    #[error("{} cannot be written", .file.display())]
    Write {
        /// The file, as named in the command.
        file: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", .file.display())]
    Read {
        /// The file, as named in the command.
        file: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The file is not a backup.
    #[error("{} is not a backup, or not a complete one", .file.display())]
    NotABackup {
        /// The file, as named in the command.
        file: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The dump does not match the manifest's checksum.
    #[error("{} is damaged: its contents do not match its manifest", .0.display())]
    Damaged(PathBuf),
    /// The file was written by a newer version, in a format unknown to this one.
    #[error("{} was made by a newer Parlance ({version}); use that one", .file.display())]
    Newer {
        /// The file, as named in the command.
        file: PathBuf,
        /// The version that wrote it.
        version: String,
    },
    /// The database to restore into already has tables.
    #[error(
        "the database is not empty; nothing was touched. Restore into a new one: another DATA_DIR, or another DATABASE_URL"
    )]
    NotEmpty,
    /// A restored table differs from the manifest.
    #[error("the restored data differs from the backup: {0}")]
    Different(String),
    /// The restored data breaks an invariant that the doctor checks.
    #[error("the backup was restored completely, but the doctor finds {0}")]
    Unhealthy(String),
}

/// Takes a backup, or verifies one.
pub(super) async fn run(settings: &Settings, backup: Backup) -> Result<(), super::Error> {
    match (backup.command, backup.file) {
        (Some(Verb::Verify { file, files }), _) => {
            let (manifest, deleted) = restore::verify(settings, &file, files).await?;
            if deleted > 0 {
                eprintln!("{deleted} of the backup's files were deleted since");
            }
            report("Verified", &file, &manifest, backup.json)
        }
        (None, Some(file)) if file == Path::new("-") => {
            let manifest = take::take(settings, Target::Stdout).await?;
            // The backup is on standard output.
            eprintln!("{}", describe("Backed up", &file, &manifest, backup.json));
            Ok(())
        }
        (None, Some(file)) => {
            let manifest = take::take(settings, Target::File(&file)).await?;
            report("Backed up", &file, &manifest, backup.json)
        }
        // clap's `required` rules this out, but the match needs an arm.
        (None, None) => Err("a file is required".to_owned().into()),
    }
}

/// Restores a backup into an empty database and compares it with the manifest.
pub(super) async fn restore(
    settings: &Settings,
    Restore { file, json }: Restore,
) -> Result<(), super::Error> {
    let (manifest, stores) = restore::restore(settings, &file).await?;
    for place in stores {
        eprintln!(
            "nothing is deleted in {place} until you run `parlance files adopt`: do that once the original server is permanently stopped"
        );
    }
    report("Restored", &file, &manifest, json)
}

fn report(done: &str, file: &Path, manifest: &Manifest, is_json: bool) -> Result<(), super::Error> {
    say(format_args!("{}", describe(done, file, manifest, is_json)))
}

fn describe(done: &str, file: &Path, manifest: &Manifest, is_json: bool) -> String {
    let Manifest {
        taken_at,
        bytes,
        sha256,
        tables,
        ..
    } = manifest;
    if is_json {
        return json!({ "file": file, "manifest": manifest }).to_string();
    }
    let (tables, rows) = (tables.len(), manifest.rows());
    format!(
        "{done}: {} of {taken_at} UTC, {tables} tables, {rows} rows, {bytes} bytes, SHA-256 {sha256}",
        file.display()
    )
}
