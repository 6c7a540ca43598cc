//! Stations: devices that users log in from.

use super::{Db, error::Result, user::CHANGED_CHANNEL};
use crate::store::rows::{AccountRow, StationRow};
use parlance_wire::{
    id::{StationId, UserId},
    key::SecretHash,
    time::Timestamp,
};

/// Binds the station to the account that a key opens, and returns that. Returns `None` for an unknown key, a key of
/// another user than the one claimed, and a disabled user, which the caller must not be able to tell apart.
///
/// A user keeps the `max` stations seen last; the others have to log in again.
pub(crate) async fn log_in(
    db: &Db,
    key_hash: &SecretHash,
    claimed: Option<UserId>,
    station: StationId,
    max: i32,
    now: Timestamp,
) -> Result<Option<AccountRow>> {
    db.run(async |c| {
        sqlx::query_file_as!(
            AccountRow,
            "src/store/sql/log_in.sql",
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

/// A user's stations, the one seen last first.
pub(crate) async fn list(db: &Db, user: UserId) -> Result<Vec<StationRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            StationRow,
            r#"select station_id as "station_id: StationId", bound_at as "bound_at: Timestamp",
                   last_seen_at as "last_seen_at: Timestamp", c.label as "label?"
            from stations s
            left join credentials c on c.user_id = s.user_id and c.credential_id = s.credential_id
            where s.user_id = $1 order by s.last_seen_at desc, s.station_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Which of a user's stations to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which {
    /// This one.
    One(StationId),
    /// All but this one.
    AllBut(StationId),
}

/// Ends stations of a user: they have to log in again, and every node closes their sockets. Returns how many there were.
pub(crate) async fn end(db: &Db, user: UserId, which: Which) -> Result<i64> {
    let (station, is_kept) = match which {
        Which::One(station) => (station, false),
        Which::AllBut(station) => (station, true),
    };
    let ended = db
        .run(async |c| {
            sqlx::query!(
                r#"
            with gone as (
                delete from stations
                where user_id = $1 and (station_id <> $2) = $3
                returning station_id
            ), told as (
                -- In the same commit: a node that is notified finds what changed.
                select pg_notify($4, station_payload($1, array_agg(station_id))) from gone having count(*) > 0
            )
            select (select count(*) from gone) as "count!", (select count(*) from told) as "told!"
            "#,
                user as _,
                station as _,
                is_kept,
                CHANGED_CHANNEL,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok(ended.count)
}

/// Those of these stations that may hold no socket: of a disabled user, or not known (any more).
pub(crate) async fn ended_among(
    db: &Db,
    stations: &[(UserId, StationId)],
) -> Result<Vec<(UserId, StationId)>> {
    let (users, ids): (Vec<UserId>, Vec<StationId>) = stations.iter().copied().unzip();
    let rows = db
        .run(async |c| {
            // Looked up one by one: a join would be planned by how many rows there were at that time.
            sqlx::query!(
                r#"select o.user_id as "user_id!: UserId", o.station_id as "station_id!: StationId"
                from unnest($1::uuid[], $2::uuid[]) as o (user_id, station_id)
                where (select true from stations s where s.user_id = o.user_id and s.station_id = o.station_id) is null
                    or (select u.disabled_at from users u where u.user_id = o.user_id) is not null"#,
                users as _,
                ids as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.user_id, row.station_id))
        .collect())
}

/// The user who was last seen at a station: for unsigned notification polling, where it is allowed.
pub(crate) async fn last_user_of(db: &Db, station: StationId) -> Result<Option<UserId>> {
    db.run(async |c| {
        // Two users may share a device.
        sqlx::query_scalar!(
            r#"select s.user_id as "user_id: UserId" from stations s
        join users u using (user_id)
        where s.station_id = $1 and u.disabled_at is null
        order by s.last_seen_at desc limit 1"#,
            station as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}
