//! PostgreSQL's own programs, on the database that the settings name.

use std::{path::PathBuf, process::Command};

use percent_encoding::percent_decode_str;
use url::Url;

use crate::{
    settings::{Database, Settings},
    store,
};

/// A program (`psql`, `pg_dump`), and the address that it takes. A password goes into its environment, not onto a
/// command line that others can see.
pub(super) fn on_database(settings: &Settings, name: &str) -> Result<(Command, String), String> {
    let (program, url) = match settings.database {
        Database::Given(_) => {
            let program = settings
                .pg_bin
                .as_ref()
                .map_or_else(|| PathBuf::from(name), |dir| dir.join(name));
            (
                program,
                std::env::var("DATABASE_URL").map_err(|error| error.to_string())?,
            )
        }
        Database::Embedded => (
            store::embedded::program(settings, name)?,
            store::embedded::url(settings)?,
        ),
    };
    let mut url = Url::parse(&url)
        .map_err(|error| format!("the database's address cannot be read: {error}"))?;
    let mut command = Command::new(program);
    // What the operator says stands last, and counts.
    let own = match std::env::var("PGOPTIONS") {
        Err(std::env::VarError::NotUnicode(_)) => {
            return Err("PGOPTIONS takes text in UTF-8".into());
        }
        own => own.unwrap_or_default(),
    };
    command.env("PGOPTIONS", format!("{} {own}", store::session_options()));
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

/// Why a program could not be run.
pub(super) fn not_run(command: &Command, error: &std::io::Error) -> String {
    format!("{} cannot be run: {error}", command.get_program().display())
}
