//! Reads the settings from environment variables.

use std::{
    cell::RefCell, collections::BTreeSet, env, ffi::OsString, net::SocketAddr, path::PathBuf,
};

use async_nats::ServerAddr;
use chrono::TimeDelta;

use super::{
    Database, Disk, Error, FILE_STORE_FORM, FileStore, Invites, LogFormat, PerUser, Push,
    PushServices, Registration, S3Keys, Settings, StoreOptions, Tls, database,
    variables::{
        Variables, duration, nats_servers, networks, origins, postgres_settings, public_url,
    },
};
use crate::{clock::Clock, timings::Timings};
use parlance_wire::text::Email;
use url::Url;

/// Maximum of a setting: 1000 years, because the end of a longer one could not be written on the
/// wire.
const MAX_DURATION: TimeDelta = TimeDelta::days(365_250);
const MAX_WORKERS: usize = 256;

impl Settings {
    /// Reads the settings from the environment. Returns the names of all settings as well.
    ///
    /// # Errors
    /// A variable has an invalid value.
    pub fn from_env() -> Result<(Self, BTreeSet<String>), Error> {
        let names = RefCell::default();
        let settings = Self::read(|name| {
            BTreeSet::insert(&mut names.borrow_mut(), name.to_owned());
            env::var_os(name)
        })?;
        Ok((settings, names.into_inner()))
    }

    /// Reads the settings through `variable`, so that tests can pass their own.
    ///
    /// # Errors
    /// A variable has an invalid value.
    pub fn read(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let env = Variables(&variable);
        let listen_addr = env.listen_addr()?;
        let tls = env.tls()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let database = env.database()?;
        let nats_url = env.nats_url()?;
        let nats_credentials = env.path("NATS_CREDENTIALS");
        if nats_credentials.is_some() && nats_url.is_empty() {
            return Err(Error {
                variable: "NATS_CREDENTIALS",
                must_be: "used with NATS_URL".to_owned(),
            });
        }
        if nats_credentials.is_some() && nats_url.iter().any(|server| server.username().is_some()) {
            return Err(Error {
                variable: "NATS_CREDENTIALS",
                must_be: "the only login to NATS: remove user:password@ or token@ from NATS_URL, \
                          or unset NATS_CREDENTIALS"
                    .to_owned(),
            });
        }
        let data_dir: PathBuf = env
            .text("DATA_DIR")?
            .map_or_else(|| "data".into(), PathBuf::from);
        Ok(Self {
            listen_addr,
            public_url: env.parse(
                "PUBLIC_URL",
                &format!("{scheme}://{listen_addr}"),
                "an http:// or https:// address",
                public_url,
            )?,
            // Only the embedded PostgreSQL's disk is certainly one of this machine.
            file_disk: matches!(database, Database::Embedded).then(|| Disk::of(data_dir.clone())),
            database,
            // About two per core of a small database machine; more would only wait for each other
            // there.
            database_connections: env.number("DATABASE_CONNECTIONS", 8, 1..=1000)?,
            data_dir,
            pg_bin: env.path("PG_BIN"),
            postgres_settings: env.parse(
                "POSTGRES_SETTINGS",
                "",
                "name=value of PostgreSQL's parameters for memory, WAL, replication, archiving or \
                 vacuum, separated by semicolons, as shared_buffers=1GB;work_mem=16MB",
                postgres_settings,
            )?,
            registration: env.registration()?,
            invites: env.invites()?,
            message_lifetime: env.parse(
                "MESSAGE_LIFETIME",
                "7days",
                "a duration up to 1000years, as 7days or 12h",
                |text| duration(text).filter(|length| *length <= MAX_DURATION),
            )?,
            max_message_lifetime: env.parse(
                "MAX_MESSAGE_LIFETIME",
                "1000years",
                "a duration from 1min to 1000years, as 365days",
                lifetime,
            )?,
            expiry_grace: env.parse(
                "EXPIRY_GRACE",
                "7days",
                "a duration from 1min to 1000years, as 7days or 12h",
                lifetime,
            )?,
            max_message_bytes: env.bytes("MAX_MESSAGE_BYTES", 64 << 10, 1..=4 << 20)?,
            max_body_bytes: env.bytes("MAX_BODY_BYTES", 1 << 20, 1024..=64 << 20)?,
            max_file_bytes: env.bytes("MAX_FILE_BYTES", 100 << 20, 1024..=4 << 30)?,
            file_store: env.file_store()?,
            stores: StoreOptions::new(env.s3_keys()?),
            signature_window: env.parse(
                "SIGNATURE_WINDOW",
                "5min",
                "a duration, as 5min or 90s",
                duration,
            )?,
            login_tries: env.number("LOGIN_TRIES", 10, 1..=100_000)?,
            // Two a second are more than any person needs, or a script that logs in each time.
            logins: env.number("LOGINS", 120, 1..=100_000)?,
            registrations: env.number("REGISTRATIONS", 100, 1..=1_000_000)?,
            bad_signatures: env.number("BAD_SIGNATURES", 600, 1..=1_000_000)?,
            trusted_proxies: env.parse(
                "TRUSTED_PROXIES",
                "",
                "addresses or networks, separated by commas",
                networks,
            )?,
            allowed_origins: env.parse(
                "ALLOWED_ORIGINS",
                "",
                "origins as browsers write them, as https://chat.example.org, separated by commas",
                origins,
            )?,
            allow_unsigned_notifications: env.parse(
                "ALLOW_UNSIGNED_NOTIFICATIONS",
                "false",
                "true or false",
                |text| text.parse().ok(),
            )?,
            requests_per_user: env.number("REQUESTS_PER_USER", 32, 1..=10_000)?,
            // Limits the share of SOCKETS that one user can take: each socket costs about 15 KB.
            sockets_per_user: env.number("SOCKETS_PER_USER", 20, 1..=100)?,
            sockets: env.number("SOCKETS", 20_000, 1..=1_000_000)?,
            nats_url,
            nats_credentials,
            tls,
            push: env.push()?,
            metrics_addr: env
                .text("METRICS_ADDR")?
                .map(|_| {
                    env.parse(
                        "METRICS_ADDR",
                        "",
                        "an address and port, as 127.0.0.1:9464",
                        |text| text.parse().ok(),
                    )
                })
                .transpose()?,
            workers: env.number(
                "WORKERS",
                available_cores().min(MAX_WORKERS),
                1..=MAX_WORKERS,
            )?,
            log_format: env.log_format()?,
            timings: Timings::default(),
            clock: Clock::default(),
            per_user: PerUser::read(&env)?,
        })
    }
}

impl Variables<'_> {
    fn listen_addr(&self) -> Result<SocketAddr, Error> {
        // Loopback, because there is no TLS by default.
        self.parse(
            "LISTEN_ADDR",
            "127.0.0.1:8080",
            "an address and port, as 127.0.0.1:8080",
            |text| text.parse().ok(),
        )
    }

    fn database(&self) -> Result<Database, Error> {
        let variable = "DATABASE_URL";
        let Some(url) = self.text(variable)? else {
            return Ok(Database::Embedded);
        };
        match database::parse(&url) {
            Ok(options) => Ok(Database::Given(Box::new(options))),
            Err(must_be) => Err(Error { variable, must_be }),
        }
    }

    fn registration(&self) -> Result<Registration, Error> {
        self.parse(
            "REGISTRATION",
            "invite",
            "closed, invite or open",
            |text| match text {
                "closed" => Some(Registration::Closed),
                "invite" => Some(Registration::Invite),
                "open" => Some(Registration::Open),
                _ => None,
            },
        )
    }

    fn invites(&self) -> Result<Invites, Error> {
        self.parse(
            "INVITES",
            "everyone",
            "everyone or admins",
            |text| match text {
                "everyone" => Some(Invites::Everyone),
                "admins" => Some(Invites::Admins),
                _ => None,
            },
        )
    }

    fn nats_url(&self) -> Result<Vec<ServerAddr>, Error> {
        self.parse(
            "NATS_URL",
            "",
            "nats://host:4222, with user:password@ or token@ before the host where NATS asks for \
             them, or several, separated by commas",
            nats_servers,
        )
    }

    fn tls(&self) -> Result<Option<Tls>, Error> {
        match (self.path("TLS_CERT"), self.path("TLS_KEY")) {
            (Some(cert), Some(key)) => Ok(Some(Tls { cert, key })),
            (None, None) => Ok(None),
            _ => Err(Error {
                variable: "TLS_CERT and TLS_KEY",
                must_be: "a PEM file each, both or neither".to_owned(),
            }),
        }
    }

    fn file_store(&self) -> Result<Option<FileStore>, Error> {
        let variable = "FILE_STORE";
        let Some(place) = self.text(variable)? else {
            return Ok(None);
        };
        let store = FileStore::parse(&place);
        store.map(Some).ok_or_else(|| Error {
            variable,
            must_be: FILE_STORE_FORM.to_owned(),
        })
    }

    fn s3_keys(&self) -> Result<Option<S3Keys>, Error> {
        let region = self.text("AWS_REGION")?;
        match (
            self.text("AWS_ACCESS_KEY_ID")?,
            self.text("AWS_SECRET_ACCESS_KEY")?,
        ) {
            (Some(id), Some(secret)) => Ok(Some(S3Keys {
                id,
                secret,
                // What services other than Amazon's take, whatever they are called.
                region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            })),
            (None, None) => Ok(None),
            _ => Err(Error {
                variable: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                must_be: "set, both or neither".to_owned(),
            }),
        }
    }

    fn push(&self) -> Result<Option<Push>, Error> {
        let variable = "PUSH_CONTACT";
        let Some(contact) = self.text(variable)? else {
            return Ok(None);
        };
        if !is_contact(&contact) {
            return Err(Error {
                variable,
                must_be: "a mailto: or https:// address".to_owned(),
            });
        }
        Ok(Some(Push {
            contact,
            services: PushServices::Public,
        }))
    }

    fn log_format(&self) -> Result<LogFormat, Error> {
        self.parse("LOG_FORMAT", "human", "human or json", |text| match text {
            "human" => Some(LogFormat::Human),
            "json" => Some(LogFormat::Json),
            _ => None,
        })
    }
}

fn lifetime(text: &str) -> Option<TimeDelta> {
    let range = TimeDelta::minutes(1)..=MAX_DURATION;
    duration(text).filter(|length| range.contains(length))
}

fn is_contact(text: &str) -> bool {
    match text.split_once(':') {
        Some(("mailto", address)) => Email::parse(address).is_some(),
        Some(("https", _)) => {
            // Push services receive the contact, so it must not contain a password.
            Url::parse(text).is_ok_and(|url| url.has_host() && url.password().is_none())
        }
        _ => false,
    }
}

fn available_cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
