//! Limits that an operator has set for one user, in place of the settings.

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
    notice::{self, Notice},
};
use parlance_wire::{id::UserId, time::Timestamp};

/// The limits of one user; `None` where the settings hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    /// Messages per minute.
    pub messages: Option<i32>,
    /// Bytes of messages per minute.
    pub message_bytes: Option<i64>,
    /// Bytes of stored messages and epochs.
    pub stored_bytes: Option<i64>,
    /// Conversations that the user takes part in.
    pub conversations: Option<i32>,
    /// Conversations created per day.
    pub new_conversations: Option<i32>,
    /// Friend requests per day.
    pub friend_requests: Option<i32>,
    /// Calls per hour that name strangers.
    pub lookups: Option<i32>,
    /// Changes of the availability per minute.
    pub presence_changes: Option<i32>,
    /// Changes per minute that others are notified of.
    pub changes: Option<i32>,
    /// Changes per minute that concern the user alone.
    pub own_changes: Option<i32>,
    /// Secrets of epochs per hour.
    pub epoch_secrets: Option<i32>,
    /// New stations per day.
    pub new_stations: Option<i32>,
    /// Bytes of files uploaded per hour.
    pub file_bytes: Option<i64>,
    /// Bytes of all files.
    pub file_quota: Option<i64>,
}

/// What decides about a user's limits, in addition to the settings.
#[derive(Debug, Clone, Default)]
pub struct Allowance {
    /// Nobody logs in with a password: it is a program.
    pub is_service: bool,
    /// What an operator allows the user.
    pub own: Own,
}

/// A user's usage, except for rates, which are in each node's memory.
#[derive(Debug)]
pub struct Used {
    /// Bytes of stored messages and epochs.
    pub stored_bytes: i64,
    /// Conversations that the user takes part in.
    pub conversations: i64,
    /// Conversations created today.
    pub new_conversations: i64,
    /// Friend requests today.
    pub friend_requests: i64,
    /// New stations today.
    pub new_stations: i64,
    /// Bytes of all files.
    pub files: i64,
}

/// A user's limits, and what they have used up. Returns `None` if there is no such user.
///
/// # Errors
/// Those of the database.
pub async fn of(db: &Db, user: UserId) -> Result<Option<(Allowance, Used)>> {
    db.run(async |c| {
        let Some(is_service) = sqlx::query_scalar!(
            r#"select is_service(user_id) as "is_service!" from users where user_id = $1 and deleted_at is null"#,
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?
        else {
            return Ok::<_, sqlx::Error>(None);
        };
        let own = own(&mut *c, user).await?;
        let spent = sqlx::query_as!(
            Used,
            r#"
            with today as (select (clock_timestamp() at time zone 'UTC')::date as day)
            select (coalesce((select bytes from usage where user_id = $1), 0)
                       + coalesce((select sum(bytes) from usage_change where user_id = $1), 0))::bigint as "stored_bytes!",
                   (select count(*) from participants where user_id = $1) as "conversations!",
                   coalesce(q.conversations, 0) as "new_conversations!",
                   coalesce(q.friend_requests, 0) as "friend_requests!",
                   coalesce(q.stations, 0) as "new_stations!",
                   coalesce((select f.bytes from file_usage f where f.user_id = $1), 0) as "files!"
            from today t
            left join quotas q on q.user_id = $1 and q.day = t.day
            "#,
            user as _,
        )
        .fetch_one(c)
        .await?;
        Ok(Some((Allowance { is_service, own }, spent)))
    })
    .await
}

async fn own(c: &mut PgConnection, user: UserId) -> sqlx::Result<Own> {
    let own = sqlx::query_as!(
        Own,
        "select messages, message_bytes, stored_bytes, conversations, new_conversations, friend_requests, lookups,
                presence_changes, changes, own_changes, epoch_secrets, new_stations, file_bytes, file_quota
        from user_limits where user_id = $1",
        user as _,
    )
    .fetch_optional(c)
    .await?;
    Ok(own.unwrap_or_default())
}

/// Changes a user's own limits: those that are given, or, with `None`, all of them back to what the
/// settings say. Every node learns of it. Returns whether there is such a user.
///
/// # Errors
/// Those of the database.
pub async fn change(
    db: &Db,
    user: UserId,
    limits: Option<&Own>,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        // Locked, so that a deletion of the account in progress is awaited and then seen.
        let there = sqlx::query_scalar!(
            "select true from users where user_id = $1 and deleted_at is null for key share",
            user as _
        )
        .fetch_optional(&mut *c)
        .await?;
        if there.is_none() {
            return Ok(End::Rollback(false));
        }
        match limits {
            None => {
                sqlx::query!("delete from user_limits where user_id = $1", user as _)
                    .execute(&mut *c)
                    .await?;
            }
            Some(limits) => set(&mut *c, user, limits).await?,
        }
        let details = limits.map_or_else(Vec::new, details);
        audit::append(c, by, Change::UserLimits, &user, details, now).await?;
        notice::send(c, [Notice::Stations(user)]).await?;
        Ok(End::Commit(true))
    })
    .await
}

async fn set(c: &mut PgConnection, user: UserId, limits: &Own) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into user_limits as l (user_id, messages, message_bytes, stored_bytes, conversations, new_conversations,
                                  friend_requests, lookups, presence_changes, changes, own_changes, epoch_secrets, new_stations,
                                  file_bytes, file_quota)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
        on conflict on constraint user_limits_key do update
        set messages = coalesce(excluded.messages, l.messages),
            message_bytes = coalesce(excluded.message_bytes, l.message_bytes),
            stored_bytes = coalesce(excluded.stored_bytes, l.stored_bytes),
            conversations = coalesce(excluded.conversations, l.conversations),
            new_conversations = coalesce(excluded.new_conversations, l.new_conversations),
            friend_requests = coalesce(excluded.friend_requests, l.friend_requests),
            lookups = coalesce(excluded.lookups, l.lookups),
            presence_changes = coalesce(excluded.presence_changes, l.presence_changes),
            changes = coalesce(excluded.changes, l.changes),
            own_changes = coalesce(excluded.own_changes, l.own_changes),
            epoch_secrets = coalesce(excluded.epoch_secrets, l.epoch_secrets),
            new_stations = coalesce(excluded.new_stations, l.new_stations),
            file_bytes = coalesce(excluded.file_bytes, l.file_bytes),
            file_quota = coalesce(excluded.file_quota, l.file_quota)",
        user as _,
        limits.messages,
        limits.message_bytes,
        limits.stored_bytes,
        limits.conversations,
        limits.new_conversations,
        limits.friend_requests,
        limits.lookups,
        limits.presence_changes,
        limits.changes,
        limits.own_changes,
        limits.epoch_secrets,
        limits.new_stations,
        limits.file_bytes,
        limits.file_quota,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// The limits that are given, for the audit log.
fn details(limits: &Own) -> Vec<(&'static str, String)> {
    let numbers = [
        ("messages", limits.messages.map(i64::from)),
        ("message-bytes", limits.message_bytes),
        ("stored-bytes", limits.stored_bytes),
        ("conversations", limits.conversations.map(i64::from)),
        ("new-conversations", limits.new_conversations.map(i64::from)),
        ("friend-requests", limits.friend_requests.map(i64::from)),
        ("lookups", limits.lookups.map(i64::from)),
        ("presence-changes", limits.presence_changes.map(i64::from)),
        ("changes", limits.changes.map(i64::from)),
        ("own-changes", limits.own_changes.map(i64::from)),
        ("epoch-secrets", limits.epoch_secrets.map(i64::from)),
        ("new-stations", limits.new_stations.map(i64::from)),
        ("file-bytes", limits.file_bytes),
        ("file-quota", limits.file_quota),
    ];
    numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name, number?.to_string())))
        .collect()
}
