//! `parlance files`: where the bytes of files lie.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use nix::unistd::geteuid;
use serde_json::json;

use super::{Error, Purpose, actor::actor, print_json, say, with_database};
use crate::{
    settings::{FILE_STORE_FORM, FileStore, Settings},
    store::file::{self, Moved, Progress, Stores},
};
use parlance_wire::time::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Move all files to another store, while the server runs
    ///
    /// New files go there at once, and the others are copied; uploads and downloads go on. It can be
    /// interrupted, and begun again. Set FILE_STORE to the new place afterwards.
    Move(Move),
    /// Let a restored server delete files in the stores of the one that was backed up
    ///
    /// Until then nothing is deleted there, so that a copy of a server, as for a drill, takes no bytes from
    /// the original. Run it only once the original server is permanently stopped.
    Adopt {
        /// For scripts: one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Interval of progress reports.
const TELL_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Move {
    /// Where to, as in FILE_STORE: postgres, dir:/path, or s3:https://endpoint/bucket
    #[arg(long, value_parser = place)]
    to: FileStore,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

fn place(text: &str) -> Result<FileStore, String> {
    FileStore::parse(text).ok_or_else(|| format!("must be {FILE_STORE_FORM}"))
}

pub(super) async fn run(settings: &Settings, command: Command) -> Result<(), Error> {
    match command {
        Command::Move(order) => relocate(settings, order).await,
        Command::Adopt { json } => adopt(settings, json).await,
    }
}

async fn adopt(settings: &Settings, json: bool) -> Result<(), Error> {
    let places = with_database(settings, Purpose::Change, async |db| {
        Ok(file::adopt(db, &actor(), Timestamp::now()).await?)
    })
    .await?;
    if json {
        return print_json(&json!({ "adopted": places }));
    }
    if places.is_empty() {
        return say(format_args!(
            "There is nothing to adopt: this server may delete in all its stores."
        ));
    }
    say(format_args!("Adopted: {}.", places.join(", ")))
}

/// # Errors
/// Root is about to make a directory that the server's user could not read.
fn check_directory(to: &FileStore) -> Result<(), Error> {
    match to {
        FileStore::Dir(path) if geteuid().is_root() && !path.exists() => {
            Err(Error::DirectoryOfRoot(path.display().to_string()))
        }
        _ => Ok(()),
    }
}

/// Tells the progress on stderr, at first and now and then.
fn tell(to: &FileStore) -> impl FnMut(Progress) {
    let mut told: Option<Instant> = None;
    move |progress| {
        if told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
            return;
        }
        told = Some(Instant::now());
        match progress {
            Progress::Moved { bytes, of_bytes } => {
                eprintln!("{bytes} of {of_bytes} bytes are moved to {to}");
            }
            Progress::Waiting(uploads) => {
                eprintln!("waiting for {uploads} uploads to the old place");
            }
        }
    }
}

async fn relocate(settings: &Settings, Move { to, json }: Move) -> Result<(), Error> {
    check_directory(&to)?;
    let stores = Stores::new(settings.stores.clone());
    let moved = with_database(settings, Purpose::Change, async |db| {
        let order = file::Move {
            to: &to,
            disk: settings.file_disk.as_ref(),
            by: &actor(),
            now: Timestamp::now(),
        };
        let moved = file::relocate(db, &stores, order, tell(&to));
        moved.await?.ok_or(Error::FilesAreMoved)
    })
    .await?;
    let Moved {
        records,
        bytes,
        unreadable,
        left_over,
    } = moved;
    let left = unreadable.as_ref().map_or(0, |(count, _)| *count);
    if json {
        print_json(
            &json!({ "to": to.to_string(), "records": records, "bytes": bytes, "unreadable": left, "leftover": left_over }),
        )?;
    } else {
        say(format_args!(
            "Moved: {records} records, {bytes} bytes. All new files go to {to}."
        ))?;
        if left_over > 0 {
            say(format_args!(
                "{left_over} objects of moved or deleted files are still where they were: servers delete them later."
            ))?;
        }
    }
    match unreadable {
        None => Ok(()),
        Some((count, example)) => Err(Error::FilesUnreadable { count, example }),
    }
}
