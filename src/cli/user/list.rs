//! `parlance user list`.

use chrono::TimeDelta;
use clap::Args;
use serde_json::json;

use super::Role;
use crate::{
    cli::{Error, Purpose, duration, print_json, say, with_database},
    settings::Settings,
    store::{
        self,
        user_list::{Filter, UserRow},
    },
};
use parlance_wire::{time::Timestamp, word::UserRole};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only users whose address or name contains this text
    #[arg(long)]
    search: Option<String>,
    /// Only users with this role
    #[arg(long)]
    role: Option<Role>,
    /// Only disabled users
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,
    /// Only users who are not disabled
    #[arg(long)]
    enabled: bool,
    /// Only users who were not seen for this long, for example 90days
    #[arg(long, value_parser = duration)]
    idle: Option<TimeDelta>,
    /// Maximum number of users to show
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Continue after this address
    #[arg(long)]
    after: Option<String>,
    /// For scripts: one JSON array
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(settings: &Settings, list: &List) -> Result<(), Error> {
    let filter = Filter {
        search: list.search.as_deref(),
        role: list.role.map(Into::into),
        disabled: match (list.disabled, list.enabled) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        not_seen_since: list
            .idle
            .map(|idle: TimeDelta| Timestamp::now().plus(-idle)),
        after: list.after.as_deref(),
    };
    let users = with_database(settings, Purpose::Look, async |db| {
        // Fetches one row more than is shown, to know whether there are more.
        Ok(store::user_list::list(db, &filter, i64::from(list.limit) + 1).await?)
    })
    .await?;
    let shown = users.len().min(list.limit as usize);
    let (shown, more) = users.split_at(shown);
    if list.json {
        return print_json(&shown.iter().map(as_json).collect::<Vec<_>>());
    }
    for user in shown {
        say(format_args!("{}", as_text(user)))?;
    }
    match (shown.last(), more.is_empty()) {
        (None, _) => say(format_args!(
            "{}",
            if filter.selects_everyone() {
                "There are no users yet."
            } else {
                "There are no such users."
            }
        )),
        (Some(end), false) => say(format_args!("There are more: --after {}", end.email)),
        (Some(_), true) => Ok(()),
    }
}

fn as_json(user: &UserRow) -> serde_json::Value {
    json!({
        "userid": user.user_id, "email": user.email, "fullname": user.full_name, "nick": user.nick,
        "role": user.role, "created": user.created_at, "disabled": user.disabled_at, "lastseen": user.last_seen_at,
        "stations": user.stations, "sockets": user.sockets, "conversations": user.conversations, "bytes": user.bytes,
        "fileused": user.file_bytes,
    })
}

fn as_text(user: &UserRow) -> String {
    let seen = match user.last_seen_at {
        Some(_) if user.sockets > 0 => "online".to_owned(),
        Some(at) => format!("last seen {at}"),
        None => "never seen".to_owned(),
    };
    let mut parts = vec![
        user.user_id.to_string(),
        user.email.clone(),
        format!("{} ({})", user.nick, user.full_name),
        seen,
        format!("{} stations", user.stations),
        format!("{} conversations", user.conversations),
        format!("{} bytes", user.bytes),
        format!("{} bytes of files", user.file_bytes),
    ];
    if user.role == UserRole::Admin {
        parts.push("admin".to_owned());
    }
    parts.extend(user.disabled_at.map(|at| format!("disabled since {at}")));
    parts.join("  ")
}
