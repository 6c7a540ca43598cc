//! The address of the database, as PostgreSQL's own tools take it.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The parameters that the driver knows. It ignores others.
const KNOWN: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];
const ONE_HOST: &str = "the address of one host: put before several one that follows the primary, as HAProxy or a virtual address";

/// Parses an address. An error says what it must be, and repeats nothing of it: it has a password.
pub(super) fn parse(text: &str) -> Result<PgConnectOptions, String> {
    let form = || "postgres://user:password@host/database".to_owned();
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    // After the password, which may contain a comma.
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    if hosts.contains(',') {
        return Err(ONE_HOST.to_owned());
    }
    let url = Url::parse(text).map_err(|_| form())?;
    for (name, value) in url.query_pairs() {
        match &*name {
            "host" | "hostaddr" | "port" if value.contains(',') => return Err(ONE_HOST.to_owned()),
            name if KNOWN.contains(&name) || name.starts_with("options[") => {}
            _ => {
                return Err(format!(
                    "an address with these parameters alone: {}",
                    KNOWN.join(", ")
                ));
            }
        }
    }
    PgConnectOptions::from_str(text).map_err(|_| form())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_driver_would_ignore_is_refused() {
        for good in [
            "postgres://chat@db/chat",
            "postgresql://chat:a,b@db:5433/chat?sslmode=verify-full&application_name=x",
            "postgres:///chat?host=/run/postgresql&user=chat",
            "postgres://db/chat?options[statement_timeout]=7000&options=-c%20work_mem%3D8MB",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for (wrong, sentence) in [
            ("postgres://chat@one,two/chat", "one host"),
            ("postgres:///chat?user=chat&host=one,two", "one host"),
            (
                "postgres://one/chat?hostaddr=192.0.2.1,192.0.2.2",
                "one host",
            ),
            (
                "postgres://one/chat?target_session_attrs=read-write",
                "these parameters",
            ),
            ("postgres://one/chat?sslmod=require", "these parameters"),
            ("host=db dbname=chat", "postgres://user"),
            ("postgres://chat:secret@db:notaport/chat", "postgres://user"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(sentence), "{wrong}: {error}");
            assert!(!error.contains("secret"));
        }
    }
}
