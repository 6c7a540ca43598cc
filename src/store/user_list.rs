//! Users, as operators list them.

use sqlx::{ConnectOptions, Connection};

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
    /// `admin` or `user`.
    pub role: String,
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
    /// Size of the messages that they sent and that still exist, if it was added up.
    pub bytes: Option<i64>,
}

impl Filter<'_> {
    /// Returns `true` if the filter matches everyone.
    #[must_use]
    pub fn is_all(&self) -> bool {
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

/// Adds up the size of each user's messages. Reads all messages of their present and former
/// conversations.
pub async fn add_bytes(db: &Db, users: &mut [UserRow]) -> Result<()> {
    // On a connection of its own, as it may take longer than a request's statement may.
    let mut connection = db.maintenance_options().connect().await?;
    for user in users {
        let bytes = sqlx::query_scalar!(
            r#"
            with conversations as (
                select conversation_id from participants where user_id = $1
                union
                select conversation_id from former_participants where user_id = $1
            )
            select coalesce(sum(octet_length(m.data)), 0)::bigint as "bytes!"
            from conversations
            join messages m using (conversation_id)
            where m.user_id = $1
            "#,
            user.user_id as _,
        )
        .fetch_one(&mut connection)
        .await?;
        user.bytes = Some(bytes);
    }
    connection.close().await?;
    Ok(())
}
