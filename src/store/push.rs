//! Web Push: where stations are pushed, and which of them are due.

use std::time::Duration;

use uuid::Uuid;

use super::{Db, error::Result};
use parlance_wire::{
    id::{ConversationId, StationId, UserId},
    text::PushEndpoint,
};

/// A station that is to be pushed.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub user: UserId,
    pub station: StationId,
    pub endpoint: PushEndpoint,
}

/// A station's push endpoint. Returns `None` if push is not enabled for it.
pub(crate) async fn endpoint(
    db: &Db,
    user: UserId,
    station: StationId,
) -> Result<Option<PushEndpoint>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select endpoint as "endpoint: PushEndpoint" from push_subscriptions where user_id = $1 and station_id = $2"#,
            user as _,
            station as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// Sets a station's push endpoint, in place of an earlier one. Returns `false` if the station no
/// longer exists.
pub(crate) async fn enable(
    db: &Db,
    user: UserId,
    station: StationId,
    endpoint: &PushEndpoint,
) -> Result<bool> {
    let stored = db
        .run(async |c| {
            sqlx::query!(
                "insert into push_subscriptions (user_id, station_id, endpoint, created_at) values ($1, $2, $3, now())
                on conflict on constraint push_subscriptions_key do update
                set endpoint = excluded.endpoint, created_at = excluded.created_at, pushed_at = null",
                user as _,
                station as _,
                endpoint.as_str(),
            )
            .execute(c)
            .await
        })
        .await;
    match stored {
        Ok(_) => Ok(true),
        Err(error) if error.is_refused_by("push_subscriptions_of_station") => Ok(false),
        Err(error) => Err(error),
    }
}

/// Deletes a station's push endpoint. Idempotent.
pub(crate) async fn disable(db: &Db, user: UserId, station: StationId) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "delete from push_subscriptions where user_id = $1 and station_id = $2",
            user as _,
            station as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Deletes a subscription that its push service no longer knows, unless the station has another one
/// by now.
pub(crate) async fn gone(db: &Db, target: &Target) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "delete from push_subscriptions where user_id = $1 and station_id = $2 and endpoint = $3",
            target.user as _,
            target.station as _,
            target.endpoint.as_str(),
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Lets a station be pushed again: it woke up, or the last push did not leave.
pub(crate) async fn release(db: &Db, user: UserId, station: StationId) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "update push_subscriptions set pushed_at = null
            where user_id = $1 and station_id = $2 and pushed_at is not null",
            user as _,
            station as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Claims the stations that are to be pushed because of the newest message in each of these
/// conversations, except for those that were pushed within `again` and have not woken up since.
/// The node that claims a station pushes it, and no other node does.
pub(crate) async fn claim(
    db: &Db,
    news: &[(ConversationId, i64)],
    again: Duration,
) -> Result<Vec<Target>> {
    let (conversations, seqs): (Vec<ConversationId>, Vec<i64>) = news.iter().copied().unzip();
    let rows = db
        .run(async |c| {
            sqlx::query_file!(
                "src/store/sql/claim_pushes.sql",
                conversations as _,
                &seqs,
                again.as_secs_f64(),
            )
            .fetch_all(c)
            .await
        })
        .await?;
    // A row with a socket was not claimed: it only notes that a push was held back
    // (`socket_closed`).
    let due = rows.into_iter().filter(|row| !row.has_socket);
    Ok(due
        .map(|row| Target {
            user: row.user,
            station: row.station,
            endpoint: row.endpoint,
        })
        .collect())
}

/// Records that this node holds the sockets of these stations, which therefore need no push.
pub(crate) async fn socket_opened(
    db: &Db,
    node: Uuid,
    stations: &[(UserId, StationId)],
) -> Result<()> {
    let (users, stations): (Vec<UserId>, Vec<StationId>) = stations.iter().copied().unzip();
    db.run(async |c| {
        sqlx::query!(
            "update push_subscriptions s set node_id = $1, pushed_at = null, held_back_at = null
            from unnest($2::uuid[], $3::uuid[]) as o (user_id, station_id)
            where s.user_id = o.user_id and s.station_id = o.station_id",
            node,
            users as _,
            stations as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// A station whose socket was closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Closed {
    pub user: UserId,
    pub station: StationId,
    /// Whether something that was sent to it may not have arrived.
    pub is_unconfirmed: bool,
}

/// Records that this node no longer holds the sockets of these stations. Returns those that are to
/// be pushed: something was held back because of a socket that was dead already.
pub(crate) async fn socket_closed(db: &Db, node: Uuid, closed: &[Closed]) -> Result<Vec<Target>> {
    let users: Vec<UserId> = closed.iter().map(|one| one.user).collect();
    let stations: Vec<StationId> = closed.iter().map(|one| one.station).collect();
    let unconfirmed: Vec<bool> = closed.iter().map(|one| one.is_unconfirmed).collect();
    let rows = db
        .run(async |c| {
            // Three minutes: a dead socket is noticed after one and a half, and what is held back
            // is noted only now and then (`claim`).
            sqlx::query!(
                r#"
                update push_subscriptions s
                set node_id = null, held_back_at = null,
                    pushed_at = case when o.is_unconfirmed and s.held_back_at > now() - interval '3 minutes' then now() end
                from unnest($2::uuid[], $3::uuid[], $4::boolean[]) as o (user_id, station_id, is_unconfirmed)
                where s.user_id = o.user_id and s.station_id = o.station_id and s.node_id = $1
                returning s.user_id as "user: UserId", s.station_id as "station: StationId",
                          s.endpoint as "endpoint: PushEndpoint", s.pushed_at
                "#,
                node,
                users as _,
                stations as _,
                &unconfirmed,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    let due = rows.into_iter().filter(|row| row.pushed_at.is_some());
    Ok(due
        .map(|row| Target {
            user: row.user,
            station: row.station,
            endpoint: row.endpoint,
        })
        .collect())
}
