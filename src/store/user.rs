//! Users, and the keys that their signatures are verified with.

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
    group,
    notice::{self, Notice},
    user_limits::{Allowance, Own},
};
use parlance_wire::{
    id::{StationId, UserId},
    text::skeleton,
    time::Timestamp,
    word::{Availability, ChosenAvailability, UserRole},
};

/// The data that a signature is checked against.
#[derive(Debug)]
pub struct Identity {
    /// The user's public key.
    pub public_key: String,
    /// Whether an operator disabled the user.
    pub disabled: bool,
    /// Whether the user has logged in from the station.
    pub station_known: bool,
    /// The user's limits.
    pub allowance: Allowance,
}

/// The identity of a user who signs from a station. `last_seen_at` is updated once an hour, as a
/// write per request would cost more than most requests.
pub async fn identity(
    db: &Db,
    user: UserId,
    station: Option<StationId>,
    now: Timestamp,
) -> Result<Option<Identity>> {
    db.run(async |c| {
        let row = sqlx::query!(
            r#"
            with seen as (
                update stations set last_seen_at = $3
                where user_id = $1 and station_id = $2 and last_seen_at < $3::timestamptz - interval '1 hour'
            )
            select u.public_key, u.disabled_at is not null as "disabled!",
                   exists (select from stations s where s.user_id = u.user_id and s.station_id = $2) as "station_known!",
                   is_service(u.user_id) as "is_service!",
                   l.messages as "messages?", l.message_bytes as "message_bytes?", l.stored_bytes as "stored_bytes?",
                   l.conversations as "conversations?", l.new_conversations as "new_conversations?",
                   l.friend_requests as "friend_requests?", l.lookups as "lookups?",
                   l.presence_changes as "presence_changes?", l.changes as "changes?",
                   l.own_changes as "own_changes?",
                   l.epoch_secrets as "epoch_secrets?", l.new_stations as "new_stations?",
                   l.file_bytes as "file_bytes?", l.file_quota as "file_quota?"
            from users u
            left join user_limits l on l.user_id = $1
            where u.user_id = $1 and u.deleted_at is null
            "#,
            user as _,
            station as _,
            now as _,
        )
        .fetch_optional(c)
        .await?;
        Ok::<_, sqlx::Error>(row.map(|row| Identity {
            public_key: row.public_key,
            disabled: row.disabled,
            station_known: row.station_known,
            allowance: Allowance {
                is_service: row.is_service,
                own: Own {
                    messages: row.messages,
                    message_bytes: row.message_bytes,
                    stored_bytes: row.stored_bytes,
                    conversations: row.conversations,
                    new_conversations: row.new_conversations,
                    friend_requests: row.friend_requests,
                    lookups: row.lookups,
                    presence_changes: row.presence_changes,
                    changes: row.changes,
                    own_changes: row.own_changes,
                    epoch_secrets: row.epoch_secrets,
                    new_stations: row.new_stations,
                    file_bytes: row.file_bytes,
                    file_quota: row.file_quota,
                },
            },
        }))
    })
    .await
}

/// The nicks of these users. Unknown ids are left out.
pub async fn nicks(db: &Db, users: &[UserId]) -> Result<Vec<(UserId, String)>> {
    let rows = db
        .run(async |c| {
            // A nick that has changed meanwhile is left to the next round.
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

/// Computes missing skeletons of nicks, of users whom an older version stored.
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

/// Disables a user, or enables them again, and notifies every node. Groups that have no other admin
/// get one. Returns whether there is such a user.
pub async fn set_disabled(
    db: &Db,
    user: UserId,
    disabled: bool,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    let there = db
        .transaction(async |c| {
            // A time that is set stays.
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
        .await?;
    // After the commit: `succeed` locks conversations, and a deletion locks those before the user's
    // row.
    if there {
        group::succeed(db, user).await?;
    }
    Ok(there)
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

/// Sets a user's availability, which is a call (`presence/call.rs`), and what they chose, if they did.
/// Returns who sees a change: the friends whom the user has not blocked, if the availability is
/// another one, and the user, if the choice is.
pub async fn set_availability(
    db: &Db,
    user: UserId,
    availability: Availability,
    chosen: Option<ChosenAvailability>,
) -> Result<Vec<UserId>> {
    let seen_by = db
        .run(async |c| {
            // Locked first: what a socket that opens at this moment writes must not undo it.
            sqlx::query_scalar!(
                r#"
                with before as (
                    select availability, chosen_availability from users where user_id = $1 for no key update
                ), written as (
                    update users u
                    set availability = $2, chosen_availability = coalesce($3, u.chosen_availability), called_at = now()
                    from before b
                    where u.user_id = $1
                    returning u.user_id, b.availability <> $2 as is_seen, b.chosen_availability <> u.chosen_availability as is_choice
                )
                select case when is_seen then friends_who_see(user_id) else '{}' end
                    || case when is_choice then array[user_id] else '{}' end as "seen_by!: Vec<UserId>"
                from written
                "#,
                user as _,
                availability.as_str(),
                chosen.map(ChosenAvailability::as_str),
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    Ok(seen_by.unwrap_or_default())
}
