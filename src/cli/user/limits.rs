//! `parlance user limits`: what one user may do, and what they have used up.

use clap::Args;
use serde_json::{Map, Value, json};

use super::who::Known;
use crate::{
    chat::allowance,
    cli::{Error, Purpose, actor::actor, print_json, say, with_database},
    settings::{PerUser, Settings},
    store::user_limits::{self, Allowance, Own, Used},
};
use parlance_wire::time::Timestamp;

/// A number that the database holds, and that allows something.
const COUNT: std::ops::RangeInclusive<i64> = 1..=1_000_000_000;
const BYTES: std::ops::RangeInclusive<i64> = 1..=1 << 50;
/// As [`BYTES`]; 0 for none.
const BYTES_OR_NONE: std::ops::RangeInclusive<i64> = 0..=1 << 50;

#[derive(Debug, Args)]
pub(in crate::cli) struct SetLimits {
    #[command(flatten)]
    who: Known,
    /// Messages a minute
    #[arg(long, value_parser = count)]
    messages: Option<i32>,
    /// Bytes of messages a minute
    #[arg(long, value_parser = clap::value_parser!(i64).range(BYTES))]
    message_bytes: Option<i64>,
    /// Bytes of stored messages and epochs
    #[arg(long, value_parser = clap::value_parser!(i64).range(BYTES))]
    stored_bytes: Option<i64>,
    /// Conversations that the user takes part in
    #[arg(long, value_parser = count)]
    conversations: Option<i32>,
    /// Conversations created a day
    #[arg(long, value_parser = count)]
    new_conversations: Option<i32>,
    /// Friend requests a day
    #[arg(long, value_parser = count)]
    friend_requests: Option<i32>,
    /// Calls an hour that name somebody who is not a friend
    #[arg(long, value_parser = count)]
    lookups: Option<i32>,
    /// Changes of the availability a minute
    #[arg(long, value_parser = count)]
    presence_changes: Option<i32>,
    /// Changes a minute that others are notified of, other than messages
    #[arg(long, value_parser = count)]
    changes: Option<i32>,
    /// Changes a minute of the user's own settings
    #[arg(long, value_parser = count)]
    own_changes: Option<i32>,
    /// Secrets of epochs an hour
    #[arg(long, value_parser = count)]
    epoch_secrets: Option<i32>,
    /// New devices a day
    #[arg(long, value_parser = count)]
    new_stations: Option<i32>,
    /// Bytes of files uploaded an hour
    #[arg(long, value_parser = clap::value_parser!(i64).range(BYTES))]
    file_bytes: Option<i64>,
    /// Bytes of all files; 0: none may be uploaded
    #[arg(long, value_parser = clap::value_parser!(i64).range(BYTES_OR_NONE))]
    file_quota: Option<i64>,
    /// Restore the limits of the settings
    #[arg(long, conflicts_with_all = ["messages", "message_bytes", "stored_bytes", "conversations", "new_conversations",
        "friend_requests", "lookups", "presence_changes", "changes", "own_changes", "epoch_secrets",
        "new_stations", "file_bytes", "file_quota"])]
    default: bool,
}

fn count(text: &str) -> Result<i32, String> {
    text.parse()
        .ok()
        .filter(|number| COUNT.contains(&i64::from(*number)))
        .ok_or_else(|| format!("a whole number from {} to {}", COUNT.start(), COUNT.end()))
}

impl SetLimits {
    fn given(&self) -> Own {
        Own {
            messages: self.messages,
            message_bytes: self.message_bytes,
            stored_bytes: self.stored_bytes,
            conversations: self.conversations,
            new_conversations: self.new_conversations,
            friend_requests: self.friend_requests,
            lookups: self.lookups,
            presence_changes: self.presence_changes,
            changes: self.changes,
            own_changes: self.own_changes,
            epoch_secrets: self.epoch_secrets,
            new_stations: self.new_stations,
            file_bytes: self.file_bytes,
            file_quota: self.file_quota,
        }
    }
}

/// Changes a user's limits, if any are given, and shows them.
pub(super) async fn run(settings: &Settings, limits: &SetLimits) -> Result<(), Error> {
    let who = limits.who.who()?;
    let given = limits.given();
    let change = if limits.default {
        Some(None)
    } else {
        Some(Some(&given)).filter(|_| given != Own::default())
    };
    let purpose = match change {
        Some(_) => Purpose::Change,
        None => Purpose::Look,
    };
    let (allowance, used) = with_database(settings, purpose, async |db| {
        if let Some(change) = change {
            user_limits::change(db, who.id, change, &actor(), Timestamp::now()).await?;
        }
        user_limits::of(db, who.id)
            .await?
            .ok_or_else(|| Error::NoSuchUser(who.name.clone()))
    })
    .await?;
    let allowed = allowance::of(&settings.per_user, &allowance);
    let lines = lines(&allowed, &allowance, &used);
    if limits.who.json {
        let mut shown = Map::from_iter([("userid".to_owned(), json!(who.id))]);
        shown.extend(
            lines
                .into_iter()
                .map(|line| (line.name.to_owned(), line.as_json())),
        );
        return print_json(&Value::Object(shown));
    }
    for line in lines {
        say(format_args!("{}", line.as_text()))?;
    }
    Ok(())
}

struct Line {
    name: &'static str,
    what: &'static str,
    most: u64,
    /// Whether an operator has set it for this user.
    is_own: bool,
    /// How much is used up; `None` for rates, which each node counts by itself.
    used: Option<i64>,
}

impl Line {
    fn as_json(&self) -> Value {
        match self.used {
            Some(used) => json!({ "most": self.most, "own": self.is_own, "used": used }),
            None => json!({ "most": self.most, "own": self.is_own }),
        }
    }

    fn as_text(&self) -> String {
        let used = self
            .used
            .map_or_else(String::new, |used| format!("{used} of "));
        let own = if self.is_own {
            ", this user's own limit"
        } else {
            ""
        };
        format!("{used}{} {}{own}", self.most, self.what)
    }
}

fn lines(allowed: &PerUser, allowance: &Allowance, used: &Used) -> [Line; 14] {
    let own = &allowance.own;
    let line = |name, what, most: u64, is_own, used| Line {
        name,
        what,
        most,
        is_own,
        used,
    };
    [
        line(
            "messages",
            "messages a minute",
            allowed.messages.into(),
            own.messages.is_some(),
            None,
        ),
        line(
            "messagebytes",
            "bytes of messages a minute",
            allowed.message_bytes,
            own.message_bytes.is_some(),
            None,
        ),
        line(
            "storedbytes",
            "bytes of stored messages",
            allowed.stored_bytes,
            own.stored_bytes.is_some(),
            Some(used.stored_bytes),
        ),
        line(
            "conversations",
            "conversations",
            allowed.conversations.into(),
            own.conversations.is_some(),
            Some(used.conversations),
        ),
        line(
            "newconversations",
            "conversations created today",
            allowed.new_conversations.into(),
            own.new_conversations.is_some(),
            Some(used.new_conversations),
        ),
        line(
            "friendrequests",
            "friend requests today",
            allowed.friend_requests.into(),
            own.friend_requests.is_some(),
            Some(used.friend_requests),
        ),
        line(
            "lookups",
            "calls an hour that name strangers",
            allowed.lookups.into(),
            own.lookups.is_some(),
            None,
        ),
        line(
            "presencechanges",
            "changes of the availability a minute",
            allowed.presence_changes.into(),
            own.presence_changes.is_some(),
            None,
        ),
        line(
            "changes",
            "changes a minute that others are notified of",
            allowed.changes.into(),
            own.changes.is_some(),
            None,
        ),
        line(
            "ownchanges",
            "changes of own settings a minute",
            allowed.own_changes.into(),
            own.own_changes.is_some(),
            None,
        ),
        line(
            "epochsecrets",
            "secrets of epochs an hour",
            allowed.epoch_secrets.into(),
            own.epoch_secrets.is_some(),
            None,
        ),
        line(
            "newstations",
            "new devices today",
            allowed.new_stations.into(),
            own.new_stations.is_some(),
            Some(used.new_stations),
        ),
        line(
            "filebytes",
            "bytes of files uploaded an hour",
            allowed.file_bytes,
            own.file_bytes.is_some(),
            None,
        ),
        line(
            "filequota",
            "bytes of files",
            allowed.file_quota,
            own.file_quota.is_some(),
            Some(used.files),
        ),
    ]
}
