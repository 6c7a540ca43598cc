//! Parses environment variables: numbers within a range, durations, networks, addresses.

use std::{
    ffi::OsString, fmt::Display, net::IpAddr, ops::RangeInclusive, path::PathBuf, str::FromStr,
};

use async_nats::ServerAddr;
use chrono::TimeDelta;
use ipnet::IpNet;

use url::Url;

use super::Error;

/// The source of settings. An empty variable counts as unset: compose files and `.env` lines often
/// have them.
pub(super) struct Variables<'a>(pub(super) &'a dyn Fn(&str) -> Option<OsString>);

impl Variables<'_> {
    /// Parses a variable, or its default.
    pub(super) fn parse<T>(
        &self,
        variable: &'static str,
        default: &str,
        must_be: impl Display,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let text = self.text(variable)?;
        parse(text.as_deref().unwrap_or(default)).ok_or_else(|| Error {
            variable,
            must_be: must_be.to_string(),
        })
    }

    pub(super) fn number<T: FromStr + Display + PartialOrd + Copy>(
        &self,
        variable: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, Error> {
        self.limited("a whole number", variable, default, range)
    }

    pub(super) fn bytes<T: FromStr + Display + PartialOrd + Copy>(
        &self,
        variable: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, Error> {
        self.limited("a number of bytes", variable, default, range)
    }

    fn limited<T: FromStr + Display + PartialOrd + Copy>(
        &self,
        what: &str,
        variable: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, Error> {
        let must_be = format!("{what} from {} to {}", range.start(), range.end());
        self.parse(variable, &default.to_string(), must_be, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }

    pub(super) fn text(&self, variable: &'static str) -> Result<Option<String>, Error> {
        let text = (self.0)(variable).filter(|text| !text.is_empty());
        text.map(|text| {
            text.into_string().map_err(|_| Error {
                variable,
                must_be: "text in UTF-8".to_owned(),
            })
        })
        .transpose()
    }

    // Not `text`, as a path need not be UTF-8.
    pub(super) fn path(&self, variable: &str) -> Option<PathBuf> {
        (self.0)(variable)
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }
}

/// A positive duration.
pub(super) fn duration(text: &str) -> Option<TimeDelta> {
    let length = TimeDelta::from_std(humantime::parse_duration(text).ok()?).ok()?;
    // Zero is excluded: a window of zero would refuse every request, and a lifetime of zero every
    // message.
    Some(length).filter(|length| *length > TimeDelta::zero())
}

pub(super) fn networks(text: &str) -> Option<Vec<IpNet>> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            // A bare address is a network of one: a single proxy is the usual case.
            let network = part.parse().ok();
            network.or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from))
        })
        .collect()
}

pub(super) fn nats_servers(text: &str) -> Option<Vec<ServerAddr>> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect()
}

/// Parameters of PostgreSQL that an operator may choose. Those that keep acknowledged messages safe,
/// and the server private, are not among them.
const POSTGRES_PARAMETERS: [&str; 26] = [
    "archive_command",
    "archive_mode",
    "archive_timeout",
    "checkpoint_completion_target",
    "checkpoint_timeout",
    "effective_cache_size",
    "effective_io_concurrency",
    "hot_standby",
    "huge_pages",
    "logical_decoding_work_mem",
    "maintenance_work_mem",
    "max_parallel_workers_per_gather",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_wal_senders",
    "max_wal_size",
    "min_wal_size",
    "random_page_cost",
    "shared_buffers",
    "temp_buffers",
    "vacuum_cost_limit",
    "wal_buffers",
    "wal_compression",
    "wal_keep_size",
    "wal_level",
    "work_mem",
];

/// `name=value`, separated by semicolons.
pub(super) fn postgres_settings(text: &str) -> Option<Vec<String>> {
    let parts = text.split(';').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = part.split_once('=')?;
            let is_known = POSTGRES_PARAMETERS.contains(&name) || name.starts_with("autovacuum_");
            (is_known && !value.is_empty()).then(|| part.to_owned())
        })
        .collect()
}

pub(super) fn public_url(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))?;
    // It is put into JSON, and clients append a query to it.
    let plain = !rest.is_empty() && !rest.contains(['?', '#', ' ', '"']);
    plain.then(|| text.to_owned())
}

pub(super) fn origins(text: &str) -> Option<Vec<String>> {
    let parts = text.split(',').map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(|part| {
            let origin = Url::parse(part).ok()?.origin();
            // Compared as text with what a browser sends; `null` is any page without an origin.
            (origin.is_tuple() && origin.ascii_serialization() == part).then(|| part.to_owned())
        })
        .collect()
}
