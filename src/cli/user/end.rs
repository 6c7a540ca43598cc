//! Exports a user's data into a file, and deletes accounts.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc;

use super::who::Known;
use crate::{
    cli::{Error, Purpose, actor::actor, print_json, say, with_database},
    settings::Settings,
    store::{
        self,
        audit::{self, Change},
    },
};
use parlance_wire::time::Timestamp;

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    who: Known,
    /// The file to write; it must not exist, and only its owner can read it
    file: PathBuf,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Delete {
    #[command(flatten)]
    who: Known,
    /// Confirm: this cannot be undone
    #[arg(long)]
    yes: bool,
}

/// Writes everything that the server has about a user into a file.
pub(super) async fn export(settings: &Settings, export: &Export) -> Result<(), Error> {
    let who = export.who.who()?;
    let wrong = |source| Error::File {
        path: export.file.display().to_string(),
        source,
    };
    let now = Timestamp::now();
    let bytes = with_database(settings, Purpose::Look, async |db| {
        if !store::deletion::exists(db, who.id).await? {
            return Err(Error::NoSuchUser(who.name.clone()));
        }
        let mut file = create(&export.file).map_err(wrong)?;
        let (sink, pieces) = mpsc::channel(1);
        let ((), written) = tokio::join!(
            async {
                store::export::export(db, who.id, now, &sink).await;
                // Otherwise the loop below would wait for the next piece for ever.
                drop(sink);
            },
            async {
                // Dropped on a failure, which ends the export.
                let mut pieces = pieces;
                let mut bytes = 0;
                while let Some(piece) = pieces.recv().await {
                    let piece = piece?;
                    bytes += piece.len();
                    file.write_all(&piece).map_err(wrong)?;
                }
                file.sync_all().map_err(wrong)?;
                Ok::<usize, Error>(bytes)
            },
        );
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(error) => {
                // A part of an account would look like all of it, and be in the way of another try.
                if let Err(error) = fs::remove_file(&export.file) {
                    tracing::warn!(%error, "{} could not be removed", export.file.display());
                }
                return Err(error);
            }
        };
        let details = [("bytes", bytes.to_string())];
        audit::record(db, &actor(), Change::UserExport, &who.id, details, now).await?;
        Ok(bytes)
    })
    .await?;
    if export.who.json {
        return print_json(&json!({ "userid": who.id, "bytes": bytes }));
    }
    say(format_args!(
        "Wrote {bytes} bytes into {}. What others said is encrypted in it; its names, addresses and times are not.",
        export.file.display()
    ))
}

fn create(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

/// Deletes a user and erases the content of their messages.
pub(super) async fn delete(settings: &Settings, delete: &Delete) -> Result<(), Error> {
    let who = delete.who.who()?;
    if !delete.yes {
        return Err(Error::NotConfirmed);
    }
    with_database(settings, Purpose::Change, async |db| {
        if !store::deletion::delete(db, who.id, Some(&actor()), Timestamp::now()).await? {
            return Err(Error::NoSuchUser(who.name.clone()));
        }
        // Unless a server that runs is faster.
        store::erasure::run(db).await?;
        Ok(())
    })
    .await?;
    if delete.who.json {
        return print_json(&json!({ "userid": who.id }));
    }
    say(format_args!(
        "Deleted {}, and erased the content of their messages. The address is free again.",
        who.name
    ))
}
