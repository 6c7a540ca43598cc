//! `parlance psql`: a shell on the database.

use tokio::signal::unix::{SignalKind, signal};

use super::program;
use crate::{settings::Settings, store};

/// Runs psql until it ends.
pub(super) async fn run(settings: &Settings, arguments: &[String]) -> Result<(), String> {
    let joined = store::embedded::join(settings).await?;
    let (mut psql, url) = program::on_database(settings, "psql")?;
    psql.arg(url).args(arguments);
    // Ctrl-C is psql's: it ends a statement, not the session, and not this process.
    let _interrupts = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let ended = tokio::task::spawn_blocking(move || {
        psql.status()
            .map_err(|error| program::not_run(&psql, &error))
    });
    let status = ended.await.map_err(|error| error.to_string())?;
    joined.leave().await;
    match status? {
        status if status.success() => Ok(()),
        status => Err(format!("psql ended with {status}")),
    }
}
