//! Settings: environment variables, each with a default and a reason in `.env.example`. A wrong
//! value ends the start with a sentence that names it.

use std::{
    env, ffi::OsString, fmt::Display, net::SocketAddr, path::PathBuf, str::FromStr, time::Duration,
};

use chrono::TimeDelta;
use ipnet::IpNet;
use sqlx::postgres::PgConnectOptions;

use crate::timings::Timings;

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Nobody: the operator adds users.
    Closed,
    /// Whoever has an invitation.
    Invite,
    /// Everyone.
    Open,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Where the data lives.
#[derive(Debug, Clone)]
pub enum Database {
    /// A PostgreSQL that the operator runs.
    Given(Box<PgConnectOptions>),
    /// One that Parlance runs itself, under `DATA_DIR`.
    Embedded,
}

/// A certificate chain and its key, as PEM files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// `TLS_CERT`: the chain, the server's own certificate first.
    pub cert: PathBuf,
    /// `TLS_KEY`: its private key.
    pub key: PathBuf,
}

/// All that an operator can choose.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `LISTEN_ADDR`: where the server listens.
    pub listen_addr: SocketAddr,
    /// `PUBLIC_URL`: the address that clients are told, without a final slash where it has no path.
    pub public_url: String,
    /// `DATABASE_URL`.
    pub database: Database,
    /// `DATABASE_CONNECTIONS`: how many connections this node opens at most.
    pub database_connections: u32,
    /// `DATA_DIR`: where the embedded PostgreSQL lives.
    pub data_dir: PathBuf,
    /// `PG_BIN`: where PostgreSQL's programs are, if not where one looks for them.
    pub pg_bin: Option<PathBuf>,
    /// `REGISTRATION`.
    pub registration: Registration,
    /// `MESSAGE_LIFETIME`: how long a message without a `ValidUntil` is wanted.
    pub message_lifetime: TimeDelta,
    /// `EXPIRY_GRACE`: how long after its `ValidUntil` a message is kept.
    pub expiry_grace: TimeDelta,
    /// `MAX_MESSAGE_BYTES`: how much `Data` a message may hold.
    pub max_message_bytes: usize,
    /// `MAX_BODY_BYTES`: how large a request may be.
    pub max_body_bytes: usize,
    /// `SIGNATURE_WINDOW`: how far a request's timestamp may be from the server's clock.
    pub signature_window: TimeDelta,
    /// `LOGIN_TRIES`: failed logins a minute, per user.
    pub login_tries: u32,
    /// `REGISTRATIONS`: registrations an hour, per address.
    pub registrations: u32,
    /// `BAD_SIGNATURES`: signatures a minute that do not fit, per address.
    pub bad_signatures: u32,
    /// `TRUSTED_PROXIES`: whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// `ALLOW_UNSIGNED_NOTIFICATIONS`.
    pub allow_unsigned_notifications: bool,
    /// `REQUESTS_PER_USER`: how many requests of one user are worked on at the same time.
    pub requests_per_user: usize,
    /// `SOCKETS_PER_USER`: how many WebSockets of one user are held.
    pub sockets_per_user: usize,
    /// `SOCKETS`: how many WebSockets this node holds.
    pub sockets: usize,
    /// `NATS_URL`: how nodes on one database tell each other what happened.
    pub nats_url: Option<String>,
    /// `TLS_CERT` and `TLS_KEY`: PEM files, to speak TLS without a proxy.
    pub tls: Option<Tls>,
    /// `METRICS_ADDR`: where `/metrics` is served, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// `WORKERS`: how many threads answer requests.
    pub workers: usize,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// Not for operators; tests shorten them.
    pub timings: Timings,
    /// `CONVERSATIONS_PER_USER`: how many conversations a user takes part in at most.
    pub conversations_per_user: u32,
    /// `NEW_CONVERSATIONS_PER_DAY`: how many conversations a user creates at most in a day (UTC).
    pub new_conversations_per_day: u32,
}

impl Settings {
    /// Reads the environment.
    ///
    /// # Errors
    /// A sentence that names the variable and what it takes.
    pub fn from_env() -> Result<Self, String> {
        Self::read(|name| env::var_os(name))
    }

    /// Reads variables, wherever they come from. One that is empty counts as not set.
    ///
    /// # Errors
    /// A sentence that names the variable and what it takes.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let env = Variables(&variable);
        let listen_addr: SocketAddr = env.read(
            "LISTEN_ADDR",
            "127.0.0.1:8080",
            "an address and port, as 127.0.0.1:8080",
            parsed,
        )?;
        Ok(Self {
            listen_addr,
            public_url: env.read(
                "PUBLIC_URL",
                &format!(
                    "http{}://{listen_addr}",
                    if env.tls()?.is_some() { "s" } else { "" }
                ),
                "an http:// or https:// address",
                public_url,
            )?,
            database: match env.text("DATABASE_URL")? {
                None => Database::Embedded,
                // The URL may hold a password: the sentence does not repeat it.
                Some(url) => Database::Given(Box::new(PgConnectOptions::from_str(&url).map_err(
                    |_| "DATABASE_URL takes postgres://user:password@host/database".to_owned(),
                )?)),
            },
            database_connections: env.read(
                "DATABASE_CONNECTIONS",
                "8",
                "a whole number from 1 to 1000",
                |t| parsed(t).filter(|n| (1..=1000).contains(n)),
            )?,
            data_dir: env.read("DATA_DIR", "data", "a directory", |t| {
                (!t.is_empty()).then(|| PathBuf::from(t))
            })?,
            pg_bin: env.path("PG_BIN"),
            registration: env.read(
                "REGISTRATION",
                "closed",
                "closed, invite or open",
                |t| match t {
                    "closed" => Some(Registration::Closed),
                    "invite" => Some(Registration::Invite),
                    "open" => Some(Registration::Open),
                    _ => None,
                },
            )?,
            message_lifetime: env.read(
                "MESSAGE_LIFETIME",
                "7days",
                "a span up to 1000years, as 7days or 12h",
                lifetime,
            )?,
            expiry_grace: env.read(
                "EXPIRY_GRACE",
                "7days",
                "a span from 1min to 1000years, as 7days or 12h",
                |t| lifetime(t).filter(|span| *span >= TimeDelta::minutes(1)),
            )?,
            max_message_bytes: env.read(
                "MAX_MESSAGE_BYTES",
                "65536",
                "bytes, from 1 to 4194304",
                |t| parsed(t).filter(|n| (1..=4 << 20).contains(n)),
            )?,
            max_body_bytes: env.read(
                "MAX_BODY_BYTES",
                "1048576",
                "bytes, from 1024 to 67108864",
                |t| parsed(t).filter(|n| (1024..=64 << 20).contains(n)),
            )?,
            signature_window: env.read(
                "SIGNATURE_WINDOW",
                "5min",
                "a span, as 5min or 90s",
                span,
            )?,
            login_tries: env.read(
                "LOGIN_TRIES",
                "10",
                "a whole number from 1 to 100000",
                |t| parsed(t).filter(|n| (1..=100_000).contains(n)),
            )?,
            registrations: env.read(
                "REGISTRATIONS",
                "1000",
                "a whole number from 1 to 1000000",
                |t| parsed(t).filter(|n| (1..=1_000_000).contains(n)),
            )?,
            bad_signatures: env.read(
                "BAD_SIGNATURES",
                "600",
                "a whole number from 1 to 1000000",
                |t| parsed(t).filter(|n| (1..=1_000_000).contains(n)),
            )?,
            trusted_proxies: env.read(
                "TRUSTED_PROXIES",
                "",
                "addresses or networks, separated by commas",
                |t| {
                    t.split(',')
                        .map(str::trim)
                        .filter(|t| !t.is_empty())
                        .map(|t| {
                            parsed(t).or_else(|| {
                                parsed(t).map(IpNet::from as fn(std::net::IpAddr) -> IpNet)
                            })
                        })
                        .collect()
                },
            )?,
            allow_unsigned_notifications: env.read(
                "ALLOW_UNSIGNED_NOTIFICATIONS",
                "false",
                "true or false",
                parsed,
            )?,
            requests_per_user: env.read(
                "REQUESTS_PER_USER",
                "32",
                "a whole number from 1 to 10000",
                |t| parsed(t).filter(|n| (1..=10_000).contains(n)),
            )?,
            sockets_per_user: env.read(
                "SOCKETS_PER_USER",
                "20",
                "a whole number from 1 to 100",
                |t| parsed(t).filter(|n| (1..=100).contains(n)),
            )?,
            sockets: env.read(
                "SOCKETS",
                "20000",
                "a whole number from 1 to 1000000",
                |t| parsed(t).filter(|n| (1..=1_000_000).contains(n)),
            )?,
            nats_url: env.text("NATS_URL")?,
            tls: env.tls()?,
            metrics_addr: env.read(
                "METRICS_ADDR",
                "",
                "an address and port, such as 127.0.0.1:9464",
                |t| {
                    if t.is_empty() {
                        Some(None)
                    } else {
                        parsed(t).map(Some)
                    }
                },
            )?,
            workers: env.read(
                "WORKERS",
                &std::thread::available_parallelism()
                    .map_or(2, usize::from)
                    .to_string(),
                "a whole number from 1 to 256",
                |t| parsed(t).filter(|n| (1..=256).contains(n)),
            )?,
            log_format: env.read("LOG_FORMAT", "human", "human or json", |t| match t {
                "human" => Some(LogFormat::Human),
                "json" => Some(LogFormat::Json),
                _ => None,
            })?,
            timings: Timings::default(),
            conversations_per_user: env.read(
                "CONVERSATIONS_PER_USER",
                "1000",
                "a whole number from 1 to 1000000",
                |t| parsed(t).filter(|n| (1..=1_000_000).contains(n)),
            )?,
            new_conversations_per_day: env.read(
                "NEW_CONVERSATIONS_PER_DAY",
                "100",
                "a whole number from 1 to 1000000",
                |t| parsed(t).filter(|n| (1..=1_000_000).contains(n)),
            )?,
        })
    }
}

/// Where settings are read from.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Variables<'_> {
    /// What is made of one, or of its default.
    fn read<T>(
        &self,
        name: &str,
        default: &str,
        takes: impl Display,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let text = self.text(name)?;
        parse(text.as_deref().unwrap_or(default)).ok_or_else(|| format!("{name} takes {takes}"))
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        let text = (self.0)(name).filter(|text| !text.is_empty());
        text.map(|text| {
            text.into_string()
                .map_err(|_| format!("{name} takes text in UTF-8"))
        })
        .transpose()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }

    fn tls(&self) -> Result<Option<Tls>, String> {
        match (self.path("TLS_CERT"), self.path("TLS_KEY")) {
            (Some(cert), Some(key)) => Ok(Some(Tls { cert, key })),
            (None, None) => Ok(None),
            _ => Err("TLS_CERT and TLS_KEY take a PEM file each, both or neither".into()),
        }
    }
}

fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A span that leads from any year to one that can be written.
fn lifetime(text: &str) -> Option<TimeDelta> {
    span(text).filter(|span| *span <= TimeDelta::days(365_250))
}

fn span(text: &str) -> Option<TimeDelta> {
    let span: Duration = humantime::parse_duration(text).ok()?;
    TimeDelta::from_std(span)
        .ok()
        .filter(|span| *span > TimeDelta::zero())
}

fn public_url(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))?;
    let plain = !rest.is_empty() && !rest.contains(['?', '#', ' ', '"']);
    plain.then(|| text.trim_end_matches('/').to_owned())
}
