//! `parlance files`: where the bytes of files lie.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Error, Purpose, actor::actor, print_json, say, with_database};
use crate::{
    settings::{FILE_STORE_FORM, FileStore, Settings},
    store::file::{self, Moved, Stores},
};
use parlance_wire::time::Timestamp;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Move all files to another store, while the server runs
    ///
    /// New files go there at once, and the others are copied; uploads and downloads go on. It can be
    /// interrupted, and begun again. Set FILE_STORE to the new place afterwards.
    Move(Move),
}

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
    let Command::Move(Move { to, json }) = command;
    let stores = Stores::new(settings.s3_keys.clone());
    let moved = with_database(settings, Purpose::Change, async |db| {
        let by = actor();
        let moved = file::relocate(db, &stores, &to, &by, Timestamp::now());
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
