//! Settings: environment variables, documented with their defaults in `.env.example`. An invalid
//! value stops the start with an error that names the variable.

pub(crate) mod database;
mod disk;
mod file_store;
mod per_user;
mod read;
mod variables;

use std::{net::SocketAddr, path::PathBuf};

use async_nats::ServerAddr;
use chrono::TimeDelta;
use ipnet::IpNet;
use sqlx::postgres::PgConnectOptions;
use url::{Host, Url};

use crate::{clock::Clock, timings::Timings};

pub use self::{
    disk::Disk,
    file_store::{Bucket, FORM as FILE_STORE_FORM, FileStore, S3Keys, StoreOptions},
    per_user::PerUser,
};

/// A variable has an invalid value. The value is not repeated, as it may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} must be {must_be}")]
pub struct Error {
    /// The variable's name.
    pub variable: &'static str,
    /// The required form.
    pub must_be: String,
}

/// The people who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Nobody: the operator adds users.
    Closed,
    /// Anyone with an invitation.
    Invite,
    /// Everyone, without an invitation.
    Open,
}

/// The users who may invite people to register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invites {
    /// All of them.
    Everyone,
    /// Admins alone.
    Admins,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The database to use.
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

/// The settings of Web Push.
#[derive(Debug, Clone)]
pub struct Push {
    /// Whom a push service may turn to, as a `mailto:` or `https:` address.
    pub contact: String,
    /// Not for operators; tests have a push service of their own.
    pub services: PushServices,
}

/// How push services are reached.
#[derive(Debug, Clone)]
pub enum PushServices {
    /// At public addresses, by the certificates that the system trusts.
    Public,
    /// All of them here, whatever they are called.
    At {
        /// The address of the test's service.
        address: SocketAddr,
        /// Its certificate, as DER.
        certificate: Vec<u8>,
    },
}

/// The link with which a web client registers someone. The code is in the fragment, which is never
/// sent to a server or logged.
#[must_use]
pub fn invite_link(public_url: &str, code: &str) -> String {
    // The page is served next to the API, whose path older installations have in their URL.
    let page = public_url.trim_end_matches("index.php");
    format!("{}/#invite={code}", page.trim_end_matches('/'))
}

/// Returns `true` for an address with a host that stands for all addresses of a machine, and that
/// nobody can connect to: the default of `PUBLIC_URL` if the server listens on all of them.
#[must_use]
pub fn leads_nowhere(public_url: &str) -> bool {
    Url::parse(public_url).is_ok_and(|url| match url.host() {
        Some(Host::Ipv4(address)) => address.is_unspecified(),
        Some(Host::Ipv6(address)) => address.is_unspecified(),
        Some(Host::Domain(_)) | None => false,
    })
}

/// The settings of an operator, and those that only tests change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `LISTEN_ADDR`: where the server listens.
    pub listen_addr: SocketAddr,
    /// `PUBLIC_URL`: the address that clients connect to, as the operator wrote it.
    pub public_url: String,
    /// `DATABASE_URL`, or the embedded PostgreSQL without it.
    pub database: Database,
    /// `DATABASE_CONNECTIONS`: maximum connections of this node's pool.
    pub database_connections: u32,
    /// `DATA_DIR`: where the embedded PostgreSQL lives.
    pub data_dir: PathBuf,
    /// `PG_BIN`: the directory of PostgreSQL's programs. If `None`, the usual directories are
    /// searched.
    pub pg_bin: Option<PathBuf>,
    /// `POSTGRES_SETTINGS`: configuration parameters of the embedded PostgreSQL, as `name=value`.
    pub postgres_settings: Vec<String>,
    /// `REGISTRATION`.
    pub registration: Registration,
    /// `INVITES`.
    pub invites: Invites,
    /// `MESSAGE_LIFETIME`: lifetime of a message without a `ValidUntil`.
    pub message_lifetime: TimeDelta,
    /// `MAX_MESSAGE_LIFETIME`: maximum time until a message expires, whatever its `ValidUntil`.
    pub max_message_lifetime: TimeDelta,
    /// `EXPIRY_GRACE`: how long a message is kept after its `ValidUntil`.
    pub expiry_grace: TimeDelta,
    /// `MAX_MESSAGE_BYTES`: maximum size of a message's `Data`.
    pub max_message_bytes: usize,
    /// `MAX_BODY_BYTES`: maximum size of a request.
    pub max_body_bytes: usize,
    /// `MAX_FILE_BYTES`: maximum size of a file.
    pub max_file_bytes: u64,
    /// `FILE_STORE`: where the files of a new database lie. `None`, if that is not set.
    pub file_store: Option<FileStore>,
    /// How stores of files outside the database are used, with `AWS_ACCESS_KEY_ID` and what belongs to it.
    pub stores: StoreOptions,
    /// Not for operators: the disk of the embedded PostgreSQL. `None`, where the database is elsewhere.
    pub file_disk: Option<Disk>,
    /// `SIGNATURE_WINDOW`: maximum difference between a request's timestamp and the server's clock.
    pub signature_window: TimeDelta,
    /// `LOGIN_TRIES`: maximum failed logins per minute and user.
    pub login_tries: u32,
    /// `LOGINS`: maximum logins per minute with one key from one address.
    pub logins: u32,
    /// `REGISTRATIONS`: maximum registrations per hour and address.
    pub registrations: u32,
    /// `BAD_SIGNATURES`: maximum invalid signatures per minute and address.
    pub bad_signatures: u32,
    /// `TRUSTED_PROXIES`: the proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// `ALLOWED_ORIGINS`: the sites whose pages may use the API in a browser, in addition to the server's own.
    pub allowed_origins: Vec<String>,
    /// `ALLOW_UNSIGNED_NOTIFICATIONS`.
    pub allow_unsigned_notifications: bool,
    /// `REQUESTS_PER_USER`: maximum requests of one user that are processed at the same time.
    pub requests_per_user: usize,
    /// `SOCKETS_PER_USER`: maximum open WebSockets of one user.
    pub sockets_per_user: usize,
    /// `SOCKETS`: maximum open WebSockets of this node.
    pub sockets: usize,
    /// `NATS_URL`: the NATS servers through which nodes on one database notify each other; none for
    /// a single node.
    pub nats_url: Vec<ServerAddr>,
    /// `NATS_CREDENTIALS`: a file with what logs in to NATS.
    pub nats_credentials: Option<PathBuf>,
    /// `TLS_CERT` and `TLS_KEY`: PEM files, to speak TLS without a proxy.
    pub tls: Option<Tls>,
    /// `PUSH_CONTACT`: Web Push, if it is turned on.
    pub push: Option<Push>,
    /// `METRICS_ADDR`: where `/metrics` is served, if anywhere.
    pub metrics_addr: Option<SocketAddr>,
    /// `WORKERS`: threads that answer requests.
    pub workers: usize,
    /// `LOG_FORMAT`.
    pub log_format: LogFormat,
    /// Not for operators; tests shorten them.
    pub timings: Timings,
    /// Not for operators; tests advance it.
    pub clock: Clock,
    /// The limits of each user.
    pub per_user: PerUser,
}

impl Settings {
    /// Returns `true` if pages of this origin may use the API.
    #[must_use]
    pub fn allows_origin(&self, origin: Option<&str>) -> bool {
        origin.is_some_and(|origin| self.allowed_origins.iter().any(|allowed| allowed == origin))
    }
}
