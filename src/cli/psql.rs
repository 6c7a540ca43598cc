//! `parlance psql`: a shell on the database.

use std::{path::PathBuf, process::Command};

use percent_encoding::percent_decode_str;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use crate::{
    settings::{Database, Settings},
    store,
};

/// Runs psql until it ends.
pub async fn run(settings: &Settings, arguments: &[String]) -> Result<(), String> {
    let joined = store::embedded::join(settings).await?;
    let (program, url) = match settings.database {
        Database::Given(_) => (PathBuf::from("psql"), std::env::var("DATABASE_URL").map_err(|error| error.to_string())?),
        Database::Embedded => (store::embedded::program(settings, "psql")?, store::embedded::url(settings)?),
    };
    // A password does not go onto a command line that others can see.
    let mut url = Url::parse(&url).map_err(|error| format!("the database's address cannot be read: {error}"))?;
    let mut psql = Command::new(&program);
    if let Some(password) = url.password() {
        psql.env("PGPASSWORD", percent_decode_str(password).decode_utf8_lossy().as_ref());
        // Only an address without a host refuses, and that one has no password.
        let _ = url.set_password(None);
    }
    psql.arg(url.as_str()).args(arguments);
    // Ctrl-C is psql's: it ends a statement, not the session, and not this process.
    let _interrupts = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let status = tokio::task::spawn_blocking(move || psql.status()).await.map_err(|error| error.to_string())?;
    joined.leave().await;
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("psql ended with {status}")),
        Err(error) => Err(format!("{} cannot be run: {error}", program.display())),
    }
}
