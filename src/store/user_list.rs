//! Users, as operators list them.

use sqlx::{ConnectOptions, Connection};

use super::{Db, error::Result};
use parlance_wire::{id::UserId, time::Timestamp, word::UserRole};

/// Which users to list.
#[derive(Debug, Default)]
pub struct Filter<'a> {
    /// Part of the address, the full name or the nick, in any case.
    pub search: Option<&'a str>,
    /// Only those with this role.
    pub role: Option<UserRole>,
    /// Only those who are disabled, or only those who are not.
    pub disabled: Option<bool>,
    /// Only those who were not seen since this moment.
    pub not_seen_since: Option<Timestamp>,
    /// Only those whose addresses follow this one.
    pub after: Option<&'a str>,
}

/// A user, as an operator's list shows them.
#[derive(Debug)]
pub struct UserRow {
    /// Their id.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// Their full name.
    pub full_name: String,
    /// The name that others see.
    pub nick: String,
    /// `admin` or `user`.
    pub role: String,
    /// When they registered.
    pub created_at: Timestamp,
    /// When an operator disabled them, if so.
    pub disabled_at: Option<Timestamp>,
    /// When one of their stations was last seen, to the hour.
    pub last_seen_at: Option<Timestamp>,
    /// From how many stations they have logged in.
    pub stations: i64,
    /// How many sockets they have open, on all nodes.
    pub sockets: i64,
    /// How many conversations they take part in.
    pub conversations: i64,
    /// Bytes of the messages that they have sent and that are still there, once they were added up.
    pub bytes: Option<i64>,
}

impl Filter<'_> {
    /// Whether it leaves nobody out.
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

/// Users, by address.
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

/// Adds up the bytes of each user's messages. Reads all messages of the conversations that they are or were in.
pub async fn add_bytes(db: &Db, users: &mut [UserRow]) -> Result<()> {
    // It may take longer than a request's statement may.
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
