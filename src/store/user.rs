//! Users: who they are, and what their signatures are checked against.

use super::{Db, error::Result};
use crate::store::rows::UserRow;
use parlance_wire::{
    id::{StationId, UserId},
    kdf::Argon2id,
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
    time::Timestamp,
    word::{Availability, CredentialKind},
};

/// The channel on which nodes hear of a [`UserChange`]. Never notified in a transaction that writes
/// messages: NOTIFY takes a lock that all of its commits queue for.
pub const CHANGED_CHANNEL: &str = "user_changed";

/// What nodes are told of a user on [`CHANGED_CHANNEL`].
#[derive(Debug, PartialEq, Eq)]
pub enum UserChange {
    /// They were disabled or enabled.
    Disabled(UserId),
    /// Their keys may have changed, and these stations of theirs were ended.
    Ended(UserId, Vec<StationId>),
}

impl UserChange {
    /// Reads a payload: the user's id, and after a colon the stations' ids. Returns `None` for any other.
    #[must_use]
    pub fn parse(payload: &str) -> Option<Self> {
        let Some((user, stations)) = payload.split_once(':') else {
            return UserId::parse(payload).map(Self::Disabled);
        };
        let stations = stations
            .split(',')
            .filter(|id| !id.is_empty())
            .map(StationId::parse)
            .collect::<Option<_>>()?;
        Some(Self::Ended(UserId::parse(user)?, stations))
    }
}

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
    /// What the key is made from.
    pub kind: CredentialKind,
    /// The key's name in lists.
    pub label: &'a str,
    /// How it is made from the password, if not as published.
    pub kdf: Option<&'a Argon2id>,
    /// The hash of a second key, for when the password is lost.
    pub recovery: Option<&'a SecretHash>,
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
    let number = |of: fn(&Argon2id) -> i32| user.kdf.map(of);
    let stored = db
        .run(async |c| {
            sqlx::query_file!(
                "src/store/sql/insert_user.sql",
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
                user.kind.as_str(),
                user.recovery.map(SecretHash::as_bytes),
                number(|kdf| kdf.m.get()),
                number(|kdf| kdf.t.get()),
                number(|kdf| kdf.p.get()),
                user.kdf.map(|kdf| kdf.salt.to_string()),
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(stored.rows_affected() > 0)
}

/// What a signature is checked against.
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

/// The nicks of users; of one who is not there, none.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nodes_are_told_of_a_user_is_read_as_it_was_written() {
        let (user, one, two) = ("ab".repeat(16), "01".repeat(16), "02".repeat(16));
        let id = UserId::parse(&user).unwrap();
        let stations: Vec<_> = [&one, &two].map(|id| StationId::parse(id).unwrap()).into();
        assert_eq!(UserChange::parse(&user), Some(UserChange::Disabled(id)));
        assert_eq!(
            UserChange::parse(&format!("{user}:{one},{two}")),
            Some(UserChange::Ended(id, stations))
        );
        assert_eq!(
            UserChange::parse(&format!("{user}:")),
            Some(UserChange::Ended(id, vec![]))
        );
        for wrong in ["", ":", "x", &format!("{user}:x"), &format!("{user},{one}")] {
            assert_eq!(UserChange::parse(wrong), None, "{wrong}");
        }
    }
}
