//! Presence: which nodes are alive, and whose sockets they hold. A row of `listeners` is a user who is online on a node.
//! (The table keeps its old name: during a rolling upgrade, nodes of the release before still read and write it.)

use std::{collections::HashMap, time::Duration};

use sqlx::{ConnectOptions, Connection, PgConnection};
use uuid::Uuid;

use super::{Db, db::End, error::Result};
use parlance_wire::id::UserId;

/// A user whose availability changed, and who may see that.
#[derive(Debug)]
pub struct AvailabilityChange {
    /// The user whose availability changed.
    pub user_id: UserId,
    /// Their friends, but for those whom they blocked.
    pub friends: Vec<UserId>,
}

/// Records that a node holds so many sockets of each of these users. They are available from now on, unless they set something
/// else. Returns those for whom that is a change.
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
        // No function in RETURNING, here and below: a distributed database runs only plain columns there.
        let changes = sqlx::query_as!(
            AvailabilityChange,
            r#"
            with changed as (
                update users set availability = 'available'
                where user_id = any($1) and availability = 'offline'
                returning user_id
            )
            select user_id as "user_id: UserId", friends_who_see(user_id) as "friends!: Vec<UserId>" from changed
            "#,
            &users as _,
        )
        .fetch_all(tx)
        .await?;
        Ok(End::Commit(changes))
    })
    .await
}

/// Records how many sockets a node holds of each of these users, who stay as available as they are. One who counts as online
/// for a while after their last socket has none.
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

/// Records that a node holds no sockets of these users any more. Those of whom no node holds one are offline. Returns
/// those for whom that is a change.
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

/// Locks users, before any change to who is online. Statements after the lock see what other nodes wrote before: so of
/// two sockets that close at once the second one knows that both are gone, and one that opens is not overlooked.
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

/// The answer to a heartbeat.
#[derive(Debug)]
pub struct Heartbeat {
    /// The node counted as alive until now. `false` for its first heartbeat, too.
    pub was_alive: bool,
    /// All others that are alive, or ended so recently that not all may have seen it.
    pub others: Vec<OtherNode>,
}

/// Another node on this database.
#[derive(Debug)]
pub struct OtherNode {
    /// Its id: a new one each time that it starts.
    pub node_id: Uuid,
    /// It is alive.
    pub is_alive: bool,
}

/// Keeps a node alive for `timeout` from now, by the database's clock: the clocks of nodes are never compared.
pub async fn heartbeat(db: &Db, node: Uuid, timeout: Duration) -> Result<Heartbeat> {
    let rows = db
        .run(async |c| {
            // One statement: what a node learns of the others is as of the moment of its own heartbeat, by which they
            // know what it has seen.
            sqlx::query!(
                r#"
                with own as (
                    insert into nodes (node_id, alive_until, seen_at)
                    values ($1, clock_timestamp() + make_interval(secs => $2), clock_timestamp())
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

/// Deletes all other nodes: the database is this one's alone.
pub async fn forget_other_nodes(db: &Db, node: Uuid) -> Result<()> {
    db.run(async |c| {
        sqlx::query!("delete from nodes where node_id <> $1", node)
            .execute(c)
            .await
    })
    .await?;
    Ok(())
}

/// Records that a node has ended. On a connection of its own: those of the pool may be in use by workers that stop.
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

/// Cleans up after nodes that ended longer ago than `grace`: users whose sockets they held are offline, at most
/// `max_users` of them in one call. A node's own row is deleted once every other living node has sent a heartbeat after
/// its end, and thereby seen it.
pub async fn expire(db: &Db, grace: Duration, max_users: i64) -> Result<Vec<AvailabilityChange>> {
    // First: a node without a row counts as ended below.
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
    // A bounded number of users: their rows are locked below, and each change is announced.
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
        // Asked again: a node that was thought to have ended may have sent a heartbeat meanwhile.
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

/// Sets those of these users offline who have no socket on any node. Returns those for whom that is a change.
async fn set_offline(c: &mut PgConnection, users: &[UserId]) -> Result<Vec<AvailabilityChange>> {
    let changes = sqlx::query_as!(
        AvailabilityChange,
        r#"
        with changed as (
            update users u set availability = 'offline'
            where u.user_id = any($1) and u.availability <> 'offline'
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
