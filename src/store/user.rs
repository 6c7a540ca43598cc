//! Users, and the keys that open their logins.

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
    notice::{self, Notice},
};
use crate::store::rows::AccountRow;
use parlance_wire::{
    id::{StationId, UserId},
    key::SecretHash,
    text::skeleton,
    time::Timestamp,
    word::{Availability, UserRole},
};

/// Gives a user one more key. Returns whether there is such a user.
pub async fn add_credential(
    db: &Db,
    user: UserId,
    key_hash: &SecretHash,
    label: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        let stored = sqlx::query!(
            "insert into credentials (key_hash, user_id, label, created_at)
            select $2, user_id, $3, $4 from users where user_id = $1 and deleted_at is null",
            user as _,
            key_hash.as_bytes(),
            label,
            now as _,
        )
        .execute(&mut *c)
        .await?;
        if stored.rows_affected() == 0 {
            return Ok(End::Rollback(false));
        }
        let details = [("label", label.to_owned())];
        audit::append(c, by, Change::UserApikey, &user, details, now).await?;
        Ok(End::Commit(true))
    })
    .await
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
            select user_id as "user_id: UserId", full_name, nick, encrypted_private_key, role from account
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
            where u.user_id = $1 and u.deleted_at is null
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

/// Computes what nicks look like, where that was not done: of users whom an older version stored.
pub(super) async fn fill_skeletons(c: &mut PgConnection) -> sqlx::Result<()> {
    loop {
        let rows = sqlx::query!(
            r#"select user_id as "user_id: UserId", nick from users where nick_skeleton is null order by user_id limit 1000"#
        )
        .fetch_all(&mut *c)
        .await?;
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            "update users u set nick_skeleton = s.skeleton
            from unnest($1::uuid[], $2::text[], $3::text[]) as s (user_id, nick, skeleton)
            where u.user_id = s.user_id and u.nick = s.nick",
            &rows.iter().map(|row| row.user_id).collect::<Vec<_>>() as _,
            &rows.iter().map(|row| row.nick.clone()).collect::<Vec<_>>() as _,
            &rows
                .iter()
                .map(|row| skeleton(&row.nick))
                .collect::<Vec<_>>() as _,
        )
        .execute(&mut *c)
        .await?;
    }
}

/// Disables a user, or enables them again, and notifies every node. Returns whether there is such a user.
pub async fn set_disabled(
    db: &Db,
    user: UserId,
    disabled: bool,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        // Once it is set, the time stays.
        let changed = sqlx::query!(
            "update users set disabled_at = case when $2 then coalesce(disabled_at, $3) end
            where user_id = $1 and deleted_at is null",
            user as _,
            disabled,
            now as _,
        )
        .execute(&mut *c)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(End::Rollback(false));
        }
        let change = if disabled {
            Change::UserDisable
        } else {
            Change::UserEnable
        };
        audit::append(c, by, change, &user, [], now).await?;
        notice::send(c, [Notice::User(user)]).await?;
        Ok(End::Commit(true))
    })
    .await
}

/// Gives a user a role. Returns whether there is such a user.
pub(crate) async fn set_role(
    db: &Db,
    user: UserId,
    role: UserRole,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        let changed = sqlx::query!(
            "update users set role = $2 where user_id = $1 and deleted_at is null",
            user as _,
            role.as_str(),
        )
        .execute(&mut *c)
        .await?;
        if changed.rows_affected() == 0 {
            return Ok(End::Rollback(false));
        }
        let details = [("role", role.as_str().to_owned())];
        audit::append(c, by, Change::UserRole, &user, details, now).await?;
        Ok(End::Commit(true))
    })
    .await
}

/// The disabled and the deleted users among these.
pub async fn disabled_among(db: &Db, users: &[UserId]) -> Result<Vec<UserId>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select user_id as "user_id: UserId" from users where user_id = any($1) and coalesce(disabled_at, deleted_at) is not null"#,
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
