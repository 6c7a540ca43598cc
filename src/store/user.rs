//! Users, and the keys that open their logins.

use super::{Db, error::Result};
use crate::store::rows::{AccountRow, UserRow};
use parlance_wire::{
    id::{StationId, UserId},
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
    time::Timestamp,
    word::Availability,
};

/// The channel on which nodes hear that a user was disabled or enabled. Never notified in a transaction that writes
/// messages: NOTIFY takes a lock that all of its commits queue for.
pub const CHANGED_CHANNEL: &str = "user_changed";

/// A user to be stored.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Their address; their id is its MD5.
    pub email: &'a Email,
    /// Their full name.
    pub full_name: &'a FullName,
    /// The name that others see.
    pub nick: &'a Nick,
    /// The hash of the key that opens their login.
    pub key_hash: &'a SecretHash,
    /// The key's name in an operator's list.
    pub label: &'a str,
    /// Their signatures are checked with it.
    pub public_key: &'a PublicKey,
    /// Their private key, which only their password opens.
    pub encrypted_private_key: &'a EncryptedKey,
}

/// Stores a user and the key that opens their login. With `invite`, only if that is valid, and it is used up in the
/// same commit. Returns `false`, and stores nothing, if the invite is not valid.
///
/// # Errors
/// The constraints `users_key`, `users_one_per_email` and `credentials_key`, by name.
pub async fn insert(
    db: &Db,
    user: &NewUser<'_>,
    invite: Option<&SecretHash>,
    now: Timestamp,
) -> Result<bool> {
    let user_id = UserId::of(user.email);
    let stored = db
        .run(async |c| {
            // One statement: a user without a key cannot come into being. The invite is locked: of two who use it at the
            // same moment, the second one finds it used.
            sqlx::query!(
                "with invited as (
                    select code_hash from invites
                    where code_hash = $9 and used_at is null and expires_at > $8
                    for update
                ), stored as (
                    insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
                    select $1, $2, $3, $4, $5, $6, $8
                    where $9::bytea is null or exists (select from invited)
                    returning user_id
                ), used as (
                    update invites i set used_by = s.user_id, used_at = $8
                    from invited, stored s
                    where i.code_hash = invited.code_hash
                )
                insert into credentials (key_hash, user_id, label, created_at)
                select $7, s.user_id, $10, $8 from stored s",
                user_id as _,
                user.email.as_str(),
                user.full_name.as_str(),
                user.nick.as_str(),
                user.public_key.as_str(),
                user.encrypted_private_key.as_str(),
                user.key_hash.as_bytes(),
                now as _,
                invite.map(SecretHash::as_bytes),
                user.label,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(stored.rows_affected() > 0)
}

/// Gives a user one more key. Returns whether there is such a user.
pub async fn add_credential(
    db: &Db,
    user: UserId,
    key_hash: &SecretHash,
    label: &str,
    now: Timestamp,
) -> Result<bool> {
    let stored = db
        .run(async |c| {
            sqlx::query!(
                "insert into credentials (key_hash, user_id, label, created_at)
                select $2, user_id, $3, $4 from users where user_id = $1",
                user as _,
                key_hash.as_bytes(),
                label,
                now as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(stored.rows_affected() > 0)
}

/// Binds the station to the account that a key opens, and returns that. Returns `None` for an unknown key, a key of
/// another user than the one claimed, and a disabled user, which the caller must not be able to tell apart.
///
/// A user keeps the `max` stations seen last; the others have to log in again.
pub async fn log_in(
    db: &Db,
    key_hash: &SecretHash,
    claimed: Option<UserId>,
    station: StationId,
    max: i32,
    now: Timestamp,
) -> Result<Option<AccountRow>> {
    db.run(async |c| {
        // `offset $4 - 1`: this station is one of those that stay, and is not counted among the others.
        sqlx::query_as!(
            AccountRow,
            r#"
            with account as materialized (
                select u.* from credentials c
                join users u using (user_id)
                where c.key_hash = $1 and u.disabled_at is null and ($2::uuid is null or u.user_id = $2)
            ), bound as (
                insert into stations (user_id, station_id, last_seen_at)
                select user_id, $3, $5 from account
                on conflict on constraint stations_key do update set last_seen_at = excluded.last_seen_at
            ), forgotten as (
                delete from stations s
                using account a
                where s.user_id = a.user_id and s.station_id in (
                    select o.station_id from stations o
                    where o.user_id = a.user_id and o.station_id <> $3
                    order by o.last_seen_at desc
                    offset $4 - 1
                )
            )
            select user_id as "user_id: UserId", full_name, nick, encrypted_private_key from account
            "#,
            key_hash.as_bytes(),
            claimed as _,
            station as _,
            max,
            now as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// The data that a signature is checked against.
#[derive(Debug)]
pub struct Identity {
    /// The user's public key.
    pub public_key: String,
    /// An operator disabled the user.
    pub disabled: bool,
    /// The user has logged in from the station.
    pub station_known: bool,
}

/// The identity of a user who signs from a station. `last_seen_at` is updated once an hour: a write for each request
/// would cost more than most requests.
pub async fn identity(
    db: &Db,
    user: UserId,
    station: Option<StationId>,
    now: Timestamp,
) -> Result<Option<Identity>> {
    db.run(async |c| {
        sqlx::query_as!(
            Identity,
            r#"
            with seen as (
                update stations set last_seen_at = $3
                where user_id = $1 and station_id = $2 and last_seen_at < $3::timestamptz - interval '1 hour'
            )
            select u.public_key, u.disabled_at is not null as "disabled!",
                   exists (select from stations s where s.user_id = u.user_id and s.station_id = $2) as "station_known!"
            from users u
            where u.user_id = $1
            "#,
            user as _,
            station as _,
            now as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// The nicks of these users. Unknown ids are left out.
pub async fn nicks(db: &Db, users: &[UserId]) -> Result<Vec<(UserId, String)>> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"select user_id as "user_id: UserId", nick from users where user_id = any($1)"#,
                users as _
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.user_id, row.nick))
        .collect())
}

/// All users, by address.
pub async fn list(db: &Db) -> Result<Vec<UserRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            UserRow,
            r#"select user_id as "user_id: UserId", email, full_name, nick,
                  created_at as "created_at: Timestamp", disabled_at as "disabled_at: Timestamp"
        from users order by email"#
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Disables a user, or enables them again, and notifies every node. Returns whether there is such a user.
pub async fn set_disabled(db: &Db, user: UserId, disabled_at: Option<Timestamp>) -> Result<bool> {
    let changed = db
        .run(async |c| {
            // In the same commit: a node that is notified finds what changed. And once it is set, the time stays.
            sqlx::query_scalar!(
                r#"
                with changed as (
                    update users set disabled_at = case when $2::timestamptz is null then null else coalesce(disabled_at, $2) end
                    where user_id = $1
                    returning user_id
                )
                select pg_notify($3, replace(user_id::text, '-', '')) is not null as "notified!" from changed
                "#,
                user as _,
                disabled_at as _,
                CHANGED_CHANNEL,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    Ok(changed.is_some())
}

/// The disabled ones among these users.
pub async fn disabled_among(db: &Db, users: &[UserId]) -> Result<Vec<UserId>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select user_id as "user_id: UserId" from users where user_id = any($1) and disabled_at is not null"#,
            users as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Sets a user's availability. If that is a change, returns the friends who may see it: those whom the user has not
/// blocked.
pub async fn set_availability(
    db: &Db,
    user: UserId,
    availability: Availability,
) -> Result<Option<Vec<UserId>>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"
            with changed as (
                update users set availability = $2 where user_id = $1 and availability <> $2 returning user_id
            )
            select friends_who_see(user_id) as "friends!: Vec<UserId>"
            from changed
            "#,
            user as _,
            availability.as_str(),
        )
        .fetch_optional(c)
        .await
    })
    .await
}
