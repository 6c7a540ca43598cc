//! PostgreSQL's own programs, on the database that the settings name.

use std::{io, path::PathBuf, process::Command};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::{
    settings::{Database, Settings},
    store::{self, embedded},
};

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] embedded::Error),
    /// `DATABASE_URL` is gone from the environment, or not a URL. It may hold a password, and is not repeated.
    #[error("DATABASE_URL must be postgres://user:password@host/database")]
    DatabaseUrl,
    /// `PGOPTIONS` is not text.
    #[error("PGOPTIONS must be text in UTF-8")]
    Options,
    /// It cannot be started.
    #[error("{} cannot be run", .program.display())]
    NotRun {
        /// Its path.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It failed.
    #[error("{name} failed: {stderr}")]
    Failed {
        /// Its name.
        name: &'static str,
        /// Its output, in one line.
        stderr: String,
    },
}

/// A program (`psql`, `pg_dump`), and the address to call it with.
pub(super) async fn on_database(
    settings: &Settings,
    name: &str,
) -> Result<(Command, String), Error> {
    let (program, url) = match settings.database {
        Database::Given(_) => {
            let program = settings
                .pg_bin
                .as_ref()
                .map_or_else(|| PathBuf::from(name), |dir| dir.join(name));
            // From the environment again: sqlx's options do not give back a password.
            let url = std::env::var("DATABASE_URL").map_err(|_| Error::DatabaseUrl)?;
            (program, url)
        }
        Database::Embedded => (
            embedded::program(settings, name).await?,
            embedded::url(settings)?,
        ),
    };
    let mut url = Url::parse(&url).map_err(|_| Error::DatabaseUrl)?;
    let mut command = Command::new(program);
    // As in the server's own sessions: a search path that a role presets would change what is dumped, or seen in psql.
    let own = match std::env::var("PGOPTIONS") {
        Err(std::env::VarError::NotUnicode(_)) => return Err(Error::Options),
        own => own.unwrap_or_default(),
    };
    // The operator's own options come last: PostgreSQL lets the last one win.
    command.env("PGOPTIONS", format!("{} {own}", store::session_options()));
    // A password goes into the environment: command lines can be seen by every user of the machine.
    if let Some(password) = url.password() {
        command.env(
            "PGPASSWORD",
            percent_decode_str(password).decode_utf8_lossy().as_ref(),
        );
        // Only an address without a host refuses, and that one has no password.
        let _ = url.set_password(None);
    }
    let (secret, others): (Vec<_>, Vec<_>) = url
        .query_pairs()
        .into_owned()
        .partition(|(name, _)| name == "password");
    if let Some((_, password)) = secret.first() {
        command.env("PGPASSWORD", password);
        url.query_pairs_mut().clear().extend_pairs(others);
    }
    Ok((command, url.into()))
}

/// For `map_err`: the program could not be started.
pub(super) fn not_run(command: &Command) -> impl FnOnce(io::Error) -> Error + use<> {
    let program = PathBuf::from(command.get_program());
    move |source| Error::NotRun { program, source }
}
