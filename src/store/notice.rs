//! Notices reach every node through the database (`LISTEN`/`NOTIFY`), because the changes may be
//! made by a command, which is not a node. For rare events only, and never in a transaction that
//! writes messages: NOTIFY takes a lock that all commits with notices queue for.

use sqlx::PgConnection;

use parlance_wire::id::UserId;

/// The channel on which nodes listen.
pub const CHANNEL: &str = "user_changed";

/// A change that every node has to know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A user's keys, names, stations or rights have changed: caches of users are outdated, and the
    /// user's sockets are closed, so that only those who may still sign can open them again.
    User(UserId),
    /// The user has changed their keys or stations: caches of that user are outdated, and sockets of stations that are not
    /// known any more are closed.
    Stations(UserId),
    /// Someone has registered, whom nodes may remember as absent.
    Registered(UserId),
    /// A user's name has changed, and cached names are outdated.
    Names,
    /// A user's list of conversations has changed.
    List(UserId),
    /// A user should fetch another one again, as their friendship or name has changed.
    Friend {
        /// The user who has changed.
        friend: UserId,
        /// The user to notify.
        seen_by: UserId,
    },
}

impl Notice {
    fn payload(self) -> String {
        match self {
            // In the format of older versions.
            Self::User(user) => user.to_string(),
            Self::Stations(user) => format!("stations {user}"),
            Self::Registered(user) => format!("registered {user}"),
            Self::Names => "names".to_owned(),
            Self::List(user) => format!("list {user}"),
            Self::Friend { friend, seen_by } => format!("friend {friend} {seen_by}"),
        }
    }

    /// Parses the payload of [`send`]. Returns `None` for a payload of another version.
    #[must_use]
    pub fn parse(payload: &str) -> Option<Self> {
        let mut words = payload.split(' ');
        let notice = match words.next()? {
            "stations" => Self::Stations(UserId::parse(words.next()?)?),
            "registered" => Self::Registered(UserId::parse(words.next()?)?),
            "names" => Self::Names,
            "list" => Self::List(UserId::parse(words.next()?)?),
            "friend" => Self::Friend {
                friend: UserId::parse(words.next()?)?,
                seen_by: UserId::parse(words.next()?)?,
            },
            // The format of older versions. A newer version's word is no id, and so `None`.
            user => Self::User(UserId::parse(user)?),
        };
        words.next().is_none().then_some(notice)
    }
}

/// Sends notices to every node once the transaction is committed, so that a notified node finds the
/// change.
pub(super) async fn send(
    c: &mut PgConnection,
    notices: impl IntoIterator<Item = Notice>,
) -> sqlx::Result<()> {
    let payloads: Vec<String> = notices.into_iter().map(Notice::payload).collect();
    sqlx::query!(
        "select count(pg_notify($1, payload)) from unnest($2::text[]) as n (payload)",
        CHANNEL,
        &payloads,
    )
    .fetch_one(c)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written() {
        let ids = ["1", "2"].map(|digit| UserId::parse(&digit.repeat(32)));
        let [Some(one), Some(other)] = ids else {
            panic!("two ids")
        };
        for notice in [
            Notice::User(one),
            Notice::Stations(one),
            Notice::Registered(one),
            Notice::Names,
            Notice::List(one),
            Notice::Friend {
                friend: one,
                seen_by: other,
            },
        ] {
            assert_eq!(Notice::parse(&notice.payload()), Some(notice));
        }
        assert_eq!(Notice::parse(&format!("friend {one}")), None);
        assert_eq!(Notice::parse(&format!("{one} {one}")), None);
        assert_eq!(Notice::parse(""), None);
    }
}
