//! Notices: what every node hears of through the database (`LISTEN`/`NOTIFY`), because it may be changed by a command, which
//! is no node. Rare events only, and never in a transaction that writes messages: NOTIFY takes a lock that all of its
//! commits queue for.

use sqlx::PgConnection;

use parlance_wire::id::UserId;

/// The channel that nodes listen to.
pub const CHANNEL: &str = "user_changed";

/// What a node has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// A user's keys, names, stations or rights have changed: what is cached of users is out of date, and the user's
    /// sockets are closed, for whoever may still sign to open them again.
    User(UserId),
    /// A user's keys or stations have changed, as they asked for: what is cached of that user is out of date, and sockets of
    /// stations that are not known any more are closed.
    Stations(UserId),
    /// A user is called otherwise: cached names are out of date.
    Names,
    /// A user's list of conversations has changed.
    List(UserId),
    /// A user should look at another one again: their friendship, their name.
    Friend {
        /// The user to look at.
        friend: UserId,
        /// Who should look.
        seen_by: UserId,
    },
}

impl Notice {
    fn payload(self) -> String {
        match self {
            // As older versions write and read it.
            Self::User(user) => user.to_string(),
            Self::Stations(user) => format!("stations {user}"),
            Self::Names => "names".to_owned(),
            Self::List(user) => format!("list {user}"),
            Self::Friend { friend, seen_by } => format!("friend {friend} {seen_by}"),
        }
    }

    /// Reads what [`send`] wrote. Returns `None` for what another version wrote.
    #[must_use]
    pub fn parse(payload: &str) -> Option<Self> {
        let mut words = payload.split(' ');
        let notice = match words.next()? {
            "stations" => Self::Stations(UserId::parse(words.next()?)?),
            "names" => Self::Names,
            "list" => Self::List(UserId::parse(words.next()?)?),
            "friend" => Self::Friend {
                friend: UserId::parse(words.next()?)?,
                seen_by: UserId::parse(words.next()?)?,
            },
            user => Self::User(UserId::parse(user)?),
        };
        words.next().is_none().then_some(notice)
    }
}

/// Sends notices to every node, once the transaction is committed: a node that hears of a change finds it.
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
