//! Users, as operators list them.

use super::{Db, error::Result};
use parlance_wire::{id::UserId, time::Timestamp, word::UserRole};

/// A filter for the list of users.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Part of the address, the full name or the nick, in any case.
    pub search: Option<&'a str>,
    /// Only users with this role.
    pub role: Option<UserRole>,
    /// Only disabled users, or only enabled ones.
    pub disabled: Option<bool>,
    /// Only users who were not seen since this moment.
    pub not_seen_since: Option<Timestamp>,
    /// Only users with addresses after this one.
    pub after: Option<&'a str>,
}

/// A user, as operators list them.
#[derive(Debug)]
pub struct UserRow {
    /// The user's id.
    pub user_id: UserId,
    /// The user's address.
    pub email: String,
    /// The user's full name.
    pub full_name: String,
    /// The name that others see.
    pub nick: String,
    /// Whether they administer the server.
    pub role: UserRole,
    /// When they registered.
    pub created_at: Timestamp,
    /// When an operator disabled them.
    pub disabled_at: Option<Timestamp>,
    /// When one of their stations was last seen, to the hour.
    pub last_seen_at: Option<Timestamp>,
    /// Number of stations that they have logged in from.
    pub stations: i64,
    /// Number of open sockets, on all nodes.
    pub sockets: i64,
    /// Number of conversations that they take part in.
    pub conversations: i64,
    /// Size of the messages that they sent and that still exist, with 200 bytes for the row of each.
    pub bytes: i64,
    /// What their files count, in bytes.
    pub file_bytes: i64,
}

impl Filter<'_> {
    /// Returns `true` if the filter matches everyone.
    #[must_use]
    pub fn selects_everyone(&self) -> bool {
        matches!(
            self,
            Self {
                search: None,
                role: None,
                disabled: None,
                not_seen_since: None,
                after: None
            }
        )
    }
}

/// Numbers of users, by what they may do or are doing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub enabled: i64,
    pub disabled: i64,
    pub online: i64,
}

/// Counts all users. Reads the whole table, so it is not for requests.
pub(crate) async fn count(db: &Db) -> Result<Counts> {
    db.run(async |c| {
        sqlx::query_as!(
            Counts,
            r#"select count(*) filter (where disabled_at is null) as "enabled!",
                   count(*) filter (where disabled_at is not null) as "disabled!",
                   count(*) filter (where disabled_at is null and availability <> 'offline') as "online!"
            from users where deleted_at is null"#,
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// Lists users by address.
pub async fn list(db: &Db, filter: &Filter<'_>, limit: i64) -> Result<Vec<UserRow>> {
    db.run(async |c| {
        sqlx::query_file_as!(
            UserRow,
            "src/store/sql/user_list.sql",
            filter.search,
            filter.role.map(UserRole::as_str),
            filter.disabled,
            filter.not_seen_since as _,
            filter.after,
            limit,
        )
        .fetch_all(c)
        .await
    })
    .await
}
