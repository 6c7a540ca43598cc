//! Runs PostgreSQL's own programs on the database that the settings name.

use std::{io, path::PathBuf, process::Command};

use percent_encoding::percent_decode_str;

use crate::{
    settings::{self, Database, Settings},
    store::{self, embedded},
};

/// The reasons why a program cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not installed.
    #[error(transparent)]
    Missing(#[from] embedded::Error),
    /// `DATABASE_URL` is no longer in the environment, or is not a URL. It may hold a password, so
    /// it is not repeated.
    #[error("DATABASE_URL must be postgres://user:password@host/database")]
    DatabaseUrl,
    /// `PGOPTIONS` is not valid UTF-8.
    #[error("PGOPTIONS must be text in UTF-8")]
    Options,
    /// It could not be started.
    #[error("{} cannot be run", .program.display())]
    NotRun {
        /// Its path.
        program: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// It ran, and reported an error.
    #[error("{name} failed: {stderr}")]
    Failed {
        /// The program's name.
        name: &'static str,
        /// Its stderr, in one line.
        stderr: String,
    },
}

/// Prepares a program (`psql`, `pg_dump`) for the database. Returns the command, and the URL to
/// pass to it.
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
            // Read from the environment again, because sqlx's options do not expose the password.
            let url = std::env::var("DATABASE_URL").map_err(|_| Error::DatabaseUrl)?;
            (program, url)
        }
        Database::Embedded => (
            embedded::program(settings, name).await?,
            embedded::url(settings)?,
        ),
    };
    let mut url = settings::database::url(&url).map_err(|_| Error::DatabaseUrl)?;
    let mut command = Command::new(program);
    // The same session settings as the server's: a search path that a role presets would change
    // what is dumped or shown.
    let own = match std::env::var("PGOPTIONS") {
        Err(std::env::VarError::NotUnicode(_)) => return Err(Error::Options),
        own => own.unwrap_or_default(),
    };
    // The operator's own options come last, as PostgreSQL lets the last one win.
    command.env("PGOPTIONS", format!("{} {own}", store::session_options()));
    // Passed in the environment, because every user of the machine can see command lines.
    if let Some(password) = url.password() {
        command.env(
            "PGPASSWORD",
            percent_decode_str(password).decode_utf8_lossy().as_ref(),
        );
        // This fails only for a URL without a host, which has no password.
        let _ = url.set_password(None);
    }
    let (secret, others): (Vec<_>, Vec<_>) = url
        .query_pairs()
        .into_owned()
        .partition(|(name, _)| name == "password");
    if let Some((_, password)) = secret.first() {
        command.env("PGPASSWORD", password);
        url.query_pairs_mut().clear().extend_pairs(others);
        // As in a form, a space was written as a plus sign, which PostgreSQL's programs take for itself.
        let query = url.query().map(|query| query.replace('+', "%20"));
        url.set_query(query.as_deref());
    }
    Ok((command, url.into()))
}

/// For `map_err`: wraps the error of starting a program.
pub(super) fn not_run(command: &Command) -> impl FnOnce(io::Error) -> Error + use<> {
    let program = PathBuf::from(command.get_program());
    move |source| Error::NotRun { program, source }
}
