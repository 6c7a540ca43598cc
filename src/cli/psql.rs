//! `parlance psql`: a shell on the database.

use tokio::signal::unix::{SignalKind, signal};

use super::{Error, program};
use crate::{
    settings::Settings,
    store::embedded::{IfMissing, attach},
};

/// Runs psql until it exits.
pub(super) async fn run(settings: &Settings, arguments: &[String]) -> Result<(), Error> {
    let attached = attach(settings, IfMissing::Fail).await?;
    let (mut psql, url) = program::on_database(settings, "psql").await?;
    psql.arg(url).args(arguments);
    // Ctrl-C is for psql, which cancels a statement; it must not end this process.
    let _interrupts = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
    let not_run = program::not_run(&psql);
    let status = tokio::process::Command::from(psql).status().await;
    attached.detach().await;
    match status.map_err(not_run)? {
        status if status.success() => Ok(()),
        status => Err(Error::Psql(status)),
    }
}
