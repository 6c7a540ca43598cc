//! The file `.env`: one setting per line.

use std::{collections::BTreeSet, path::Path};

/// The file exists and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line is not a setting. The line itself may be a password, so only its position is shown.
    #[error("the file .env cannot be read{place}; a value with spaces must be in quotes")]
    Line {
        /// Where it is, as in " at line 3 (DATABASE_URL)".
        place: String,
    },
    /// The file cannot be read.
    #[error("the file .env cannot be read")]
    File(#[source] dotenvy::Error),
}

/// Variables that are no settings of the server, but may be in the file: those of the log, of
/// `parlance send`, and of docker-compose.yml.
const OTHER_VARIABLES: [&str; 5] = [
    "RUST_LOG",
    "PARLANCE_APIKEY",
    "POSTGRES_PASSWORD",
    "NATS_PASSWORD",
    "NETWORK",
];

/// Variables of PostgreSQL's own programs and of its client library, which the server and what it starts
/// read (<https://www.postgresql.org/docs/18/libpq-envars.html>).
const POSTGRES_VARIABLES: [&str; 45] = [
    "PGAPPNAME",
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGCONNECT_TIMEOUT",
    "PGDATABASE",
    "PGDATESTYLE",
    "PGGEQO",
    "PGGSSDELEGATION",
    "PGGSSENCMODE",
    "PGGSSLIB",
    "PGHOST",
    "PGHOSTADDR",
    "PGKRBSRVNAME",
    "PGLOADBALANCEHOSTS",
    "PGLOCALEDIR",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOPTIONS",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGPORT",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGREQUIRESSL",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLCERT",
    "PGSSLCERTMODE",
    "PGSSLCOMPRESSION",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLKEYLOGFILE",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLROOTCERT",
    "PGSSLSNI",
    "PGSYSCONFDIR",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
    "PGUSER",
    "PG_COLOR",
    "PG_COLORS",
];

/// The names in a file that are neither settings nor known otherwise, as written. Most likely they
/// are misspelled.
pub(super) fn unknown_names(file: &Path, settings: &BTreeSet<String>) -> Vec<String> {
    // A file that cannot be read was reported before.
    let variables = dotenvy::from_path_iter(file).into_iter().flatten();
    variables
        .filter_map(|variable| variable.ok().map(|(name, _)| name))
        .filter(|name| !settings.contains(name) && !OTHER_VARIABLES.contains(&name.as_str()))
        .filter(|name| !POSTGRES_VARIABLES.contains(&name.as_str()))
        // Of compose itself.
        .filter(|name| !name.starts_with("COMPOSE_"))
        .collect()
}

/// Sets environment variables from a file, if the file exists.
pub(super) fn read(file: &Path) -> Result<(), Error> {
    // Not dotenvy's search, which also looks in the parent directories: a file there belongs to
    // another program.
    match dotenvy::from_path(file) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::LineParse(wrong, _)) => {
            // Without the file's text the position is unknown, and the message does without it.
            let text = std::fs::read_to_string(file).unwrap_or_default();
            Err(Error::Line {
                place: place(&text, &wrong).unwrap_or_default(),
            })
        }
        Err(error) => Err(Error::File(error)),
    }
}

/// The position of text that cannot be parsed: its line number, and the name of the setting if it
/// has one.
fn place(text: &str, wrong: &str) -> Option<String> {
    // An unclosed quote swallows all lines that follow.
    let wrong = wrong.trim().lines().next()?.trim_end();
    let begins = |part: &str| {
        let rest = part.trim().strip_prefix(wrong).map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    let (line, number) = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim_start().starts_with('#'))
        .find(|(line, _)| {
            begins(line) || line.split_once('=').is_some_and(|(_, value)| begins(value))
        })?;
    let name = line.split_once('=').map(|(name, _)| name.trim());
    let name = name.map(|name| name.strip_prefix("export ").unwrap_or(name).trim());
    let is_name = |name: &&str| {
        let is_part = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        !name.is_empty() && name.bytes().all(is_part)
    };
    Some(name.filter(is_name).map_or_else(
        || format!(" at line {number}"),
        |name| format!(" at line {number} ({name})"),
    ))
}
