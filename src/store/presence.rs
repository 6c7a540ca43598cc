//! Presence: which nodes are alive, and whose sockets they hold. A row of `listeners` is a user who
//! is online on a node. (The table keeps its old name because, during a rolling upgrade, nodes of
//! the previous release still use it.)

pub(crate) mod call;

use std::{collections::HashMap, time::Duration};

use sqlx::{ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use super::{Db, db::End, error::Result};
use parlance_wire::id::UserId;

/// A user whose availability changed, and the friends who may see that.
#[derive(Debug)]
pub struct AvailabilityChange {
    /// The user whose availability changed.
    pub user_id: UserId,
    /// Their friends, except those whom they blocked.
    pub friends: Vec<UserId>,
}

/// Records how many sockets a node holds of each of these users. Those who had none on any node are
/// then what they chose to be. Returns the users for whom that is a change.
pub async fn socket_opened(
    db: &Db,
    node: Uuid,
    sockets: &[(UserId, i32)],
) -> Result<Vec<AvailabilityChange>> {
    let (users, counts): (Vec<UserId>, Vec<i32>) = sockets.iter().copied().unzip();
    db.transaction(async |tx| {
        lock(tx, &users).await?;
        sqlx::query!(
            "insert into listeners (user_id, node_id, sockets)
            select s.user_id, $1, s.sockets from unnest($2::uuid[], $3::int[]) as s (user_id, sockets)
            where exists (select from users u where u.user_id = s.user_id)
            on conflict on constraint listeners_key do update set sockets = excluded.sockets",
            node,
            &users as _,
            &counts,
        )
        .execute(&mut *tx)
        .await?;
        // No function in RETURNING, here and below, because a distributed database only allows
        // plain columns there.
        let changes = sqlx::query_as!(
            AvailabilityChange,
            r#"
            with changed as (
                update users u set availability = chosen_availability
                where user_id = any($1) and availability = 'offline' and chosen_availability <> 'invisible'
                    -- Whoever went offline by their own word, with a socket open, stays so.
                    and not exists (
                        select from listeners l where l.user_id = u.user_id and l.node_id <> $2 and l.sockets > 0
                    )
                returning user_id
            )
            select user_id as "user_id: UserId", friends_who_see(user_id) as "friends!: Vec<UserId>" from changed
            "#,
            &users as _,
            node,
        )
        .fetch_all(tx)
        .await?;
        Ok(End::Commit(changes))
    })
    .await
}

/// Records how many sockets a node holds of each of these users, without a change of their
/// availability. A user who counts as online for a while after their last socket has none.
pub async fn count_sockets(db: &Db, node: Uuid, sockets: &[(UserId, i32)]) -> Result<()> {
    let (users, counts): (Vec<UserId>, Vec<i32>) = sockets.iter().copied().unzip();
    db.run(async |c| {
        sqlx::query!(
            "update listeners l set sockets = s.sockets
            from unnest($2::uuid[], $3::int[]) as s (user_id, sockets)
            where l.user_id = s.user_id and l.node_id = $1",
            node,
            &users as _,
            &counts,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Records that a node no longer holds sockets of these users. Those without a socket on any node
/// are offline. Returns the users for whom that is a change.
pub async fn socket_closed(
    db: &Db,
    node: Uuid,
    users: &[UserId],
) -> Result<Vec<AvailabilityChange>> {
    db.transaction(async |tx| {
        lock(tx, users).await?;
        sqlx::query!(
            "delete from listeners where node_id = $1 and user_id = any($2)",
            node,
            users as _
        )
        .execute(&mut *tx)
        .await?;
        Ok(End::Commit(set_offline(tx, users).await?))
    })
    .await
}

/// Locks users before any change to who is online. Later statements see what other nodes wrote
/// before: if two sockets close at once, the second one sees that both are gone, and a socket that
/// opens is not overlooked.
async fn lock(c: &mut PgConnection, users: &[UserId]) -> Result<()> {
    sqlx::query!(
        "select from users where user_id = any($1) order by user_id for no key update",
        users as _
    )
    .execute(c)
    .await?;
    Ok(())
}

/// The users who are online on this node, as the database says, and how many sockets it holds of each.
pub async fn online_on(db: &Db, node: Uuid) -> Result<HashMap<UserId, i32>> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"select user_id as "user_id: UserId", sockets from listeners where node_id = $1"#,
                node
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.user_id, row.sockets))
        .collect())
}

/// The result of a heartbeat.
#[derive(Debug)]
pub struct Heartbeat {
    /// Whether the node counted as alive until now; `false` for its first heartbeat, too.
    pub was_alive: bool,
    /// The other nodes that are alive, or ended so recently that some node may not have seen it.
    pub others: Vec<OtherNode>,
}

/// Another node on this database.
#[derive(Debug)]
pub struct OtherNode {
    /// Its id, which is new at each start.
    pub node_id: Uuid,
    /// Whether it is alive.
    pub is_alive: bool,
}

/// Keeps a node alive for `timeout` from now, by the database's clock, so that nodes' clocks are
/// never compared.
pub async fn heartbeat(db: &Db, node: Uuid, timeout: Duration) -> Result<Heartbeat> {
    let rows = db
        .run(async |c| {
            // A single statement: a node learns about the others as of its own heartbeat, and from
            // that heartbeat they know what it has seen.
            sqlx::query!(
                r#"
                with own as (
                    insert into nodes (node_id, alive_until, seen_at, records_changes)
                    values ($1, clock_timestamp() + make_interval(secs => $2), clock_timestamp(), true)
                    on conflict on constraint nodes_key do update set alive_until = excluded.alive_until, seen_at = excluded.seen_at
                )
                select node_id, alive_until >= clock_timestamp() and ended_at is null as "is_alive!" from nodes
                "#,
                node,
                timeout.as_secs_f64(),
            )
            .fetch_all(c)
            .await
        })
        .await?;
    // The statement sees its own row as it was before.
    let was_alive = rows.iter().any(|row| row.node_id == node && row.is_alive);
    let others = rows.into_iter().filter(|row| row.node_id != node);
    Ok(Heartbeat {
        was_alive,
        others: others
            .map(|row| OtherNode {
                node_id: row.node_id,
                is_alive: row.is_alive,
            })
            .collect(),
    })
}

/// Deletes all other nodes, because this one has the database to itself.
pub async fn forget_other_nodes(db: &Db, node: Uuid) -> Result<()> {
    db.run(async |c| {
        sqlx::query!("delete from nodes where node_id <> $1", node)
            .execute(c)
            .await
    })
    .await?;
    Ok(())
}

/// Records that a node has ended. On a connection of its own, as workers that are stopping may be
/// using those of the pool.
pub async fn node_ended(db: &Db, node: Uuid) -> Result<()> {
    let mut connection = db.options().connect().await?;
    sqlx::query!(
        "update nodes set ended_at = clock_timestamp() where node_id = $1",
        node
    )
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(())
}

/// Cleans up after nodes that ended longer ago than `grace`: sets at most `max_users` of the users
/// whose sockets they held offline. A node's own row is deleted once every other living node has
/// sent a heartbeat after its end, and has thereby seen it.
pub async fn expire(db: &Db, grace: Duration, max_users: i64) -> Result<Vec<AvailabilityChange>> {
    // First, because a node without a row counts as ended below.
    db.run(async |c| {
        sqlx::query!(
            "delete from nodes n
            where least(n.alive_until, n.ended_at) < clock_timestamp() - make_interval(secs => $1)
                and not exists (
                    select from nodes o
                    where o.alive_until >= clock_timestamp() and o.ended_at is null
                        and o.seen_at <= least(n.alive_until, n.ended_at)
                )",
            grace.as_secs_f64(),
        )
        .execute(c)
        .await
    })
    .await?;
    // A bounded number, as their rows are locked below and each change is announced.
    let left: Vec<UserId> = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"
                select distinct l.user_id as "user_id: UserId" from listeners l
                where not exists (
                    select from nodes n
                    where n.node_id = l.node_id
                        and least(n.alive_until, n.ended_at) >= clock_timestamp() - make_interval(secs => $1)
                )
                limit $2
                "#,
                grace.as_secs_f64(),
                max_users,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    if left.is_empty() {
        return Ok(vec![]);
    }
    db.transaction(async |tx| {
        lock(tx, &left).await?;
        // Checked again, as a node that seemed to have ended may have sent a heartbeat meanwhile.
        sqlx::query!(
            "delete from listeners l
            where l.user_id = any($2) and not exists (
                select from nodes n
                where n.node_id = l.node_id
                    and least(n.alive_until, n.ended_at) >= clock_timestamp() - make_interval(secs => $1)
            )",
            grace.as_secs_f64(),
            &left as _,
        )
        .execute(&mut *tx)
        .await?;
        Ok(End::Commit(set_offline(tx, &left).await?))
    })
    .await
}

/// Sets those of these users offline who have no socket on any node. Returns the users for whom
/// that is a change.
async fn set_offline(c: &mut PgConnection, users: &[UserId]) -> Result<Vec<AvailabilityChange>> {
    // Not `<>`, which would let a plan read the index of those who are available instead of a few keys.
    let changes = sqlx::query_as!(
        AvailabilityChange,
        r#"
        with changed as (
            update users u set availability = 'offline'
            where u.user_id = any($1) and nullif(u.availability, 'offline') is not null
                and not exists (select from listeners l where l.user_id = u.user_id)
            returning u.user_id
        )
        select user_id as "user_id: UserId", friends_who_see(user_id) as "friends!: Vec<UserId>" from changed
        "#,
        users as _,
    )
    .fetch_all(c)
    .await?;
    Ok(changes)
}
