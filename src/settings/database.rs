//! The address of the database, as PostgreSQL's own tools take it.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The parameters that both the driver and PostgreSQL's own programs know. The driver ignores others,
/// and the programs refuse them.
const KNOWN: [&str; 12] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];
/// Parameters for PostgreSQL's own programs alone: the server has timeouts of its own (`timings.rs`).
const OF_PROGRAMS: [&str; 7] = [
    "channel_binding",
    "connect_timeout",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "tcp_user_timeout",
];
const ONE_HOST: &str = "the address of one host: put before several one that follows the primary, as HAProxy or a virtual address";
const NO_CHANNEL_BINDING: &str = "an address without channel_binding=require, which the server's driver cannot keep; sslmode=verify-full proves which database it is";

/// Parses the address as a URL. A plus sign stands for itself, as for PostgreSQL's own programs; in a form's
/// query it would be a space.
pub(crate) fn url(text: &str) -> Result<Url, url::ParseError> {
    match text.split_once('?') {
        Some((address, query)) => Url::parse(&format!("{address}?{}", query.replace('+', "%2B"))),
        None => Url::parse(text),
    }
}

/// Parses an address. An error names the required form, and never repeats the address, which has a password.
pub(super) fn parse(text: &str) -> Result<PgConnectOptions, String> {
    let form = || "postgres://user:password@host/database".to_owned();
    let authority = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?']).next().unwrap_or_default();
    // After the password, which may contain a comma.
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    if hosts.contains(',') {
        return Err(ONE_HOST.to_owned());
    }
    let mut url = url(text).map_err(|_| form())?;
    let mut of_driver = vec![];
    for (name, value) in url.query_pairs().into_owned() {
        match &*name {
            "host" | "hostaddr" | "port" if value.contains(',') => return Err(ONE_HOST.to_owned()),
            "channel_binding" if value == "require" => return Err(NO_CHANNEL_BINDING.to_owned()),
            known if KNOWN.contains(&known) => of_driver.push((name, value)),
            known if OF_PROGRAMS.contains(&known) => {}
            _ => return Err(refusal(&name)),
        }
    }
    url.query_pairs_mut().clear().extend_pairs(of_driver);
    PgConnectOptions::from_str(url.as_str()).map_err(|_| form())
}

/// What an address must be that has a parameter of this name, which is not known.
fn refusal(name: &str) -> String {
    let (given, instead) = match name {
        "ssl-mode" => ("ssl-mode", "sslmode"),
        "ssl-ca" => ("ssl-ca", "sslrootcert"),
        "ssl-root-cert" => ("ssl-root-cert", "sslrootcert"),
        "ssl-cert" => ("ssl-cert", "sslcert"),
        "ssl-key" => ("ssl-key", "sslkey"),
        name if name.starts_with("options[") => ("options[name]", "options=-c%20name%3Dvalue"),
        _ => {
            let all: Vec<&str> = KNOWN.iter().chain(&OF_PROGRAMS).copied().collect();
            return format!("an address with these parameters alone: {}", all.join(", "));
        }
    };
    format!(
        "an address that PostgreSQL's own programs understand, too: with {instead} instead of {given}"
    )
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
            "postgres://db/chat?options=-c%20statement_timeout%3D7000%20-c%20work_mem%3D8MB",
            "postgres://db/chat?connect_timeout=5&keepalives=1&keepalives_idle=60&channel_binding=prefer",
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
            // Known to the driver only: PostgreSQL's own programs would refuse it later.
            ("postgres://one/chat?ssl-mode=require", "with sslmode"),
            ("postgres://one/chat?ssl-ca=a.pem", "with sslrootcert"),
            (
                "postgres://one/chat?ssl-root-cert=a.pem",
                "with sslrootcert",
            ),
            ("postgres://one/chat?ssl-cert=a.pem", "with sslcert"),
            ("postgres://one/chat?ssl-key=a.pem", "with sslkey"),
            (
                "postgres://one/chat?options[work_mem]=8MB",
                "with options=-c",
            ),
            (
                "postgres://one/chat?channel_binding=require",
                "channel_binding",
            ),
            ("host=db dbname=chat", "postgres://user"),
            ("postgres://chat:secret@db:notaport/chat", "postgres://user"),
        ] {
            let error = parse(wrong).unwrap_err();
            assert!(error.contains(sentence), "{wrong}: {error}");
            assert!(!error.contains("secret"));
        }
    }

    #[test]
    fn a_plus_sign_in_a_parameter_is_no_space() {
        let options = parse("postgres:///chat?host=/run&application_name=a+b%20c").unwrap();
        assert_eq!(options.get_application_name(), Some("a+b c"));
    }

    #[test]
    fn parameters_of_the_programs_change_nothing_for_the_driver() {
        let address =
            "postgres://chat:a%20b@db:5433/chat?sslmode=require&options=-c%20work_mem%3D8MB";
        let with = parse(&format!("{address}&connect_timeout=5&keepalives=1")).unwrap();
        let without = PgConnectOptions::from_str(address).unwrap();
        assert_eq!(format!("{with:?}"), format!("{without:?}"));
    }
}
