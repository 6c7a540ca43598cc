//! Who is there: which nodes run, and whose sockets they hold.

use std::{collections::HashSet, time::Duration};

use sqlx::{Connection, PgConnection, Postgres, Transaction};
use uuid::Uuid;

use super::Db;
use parlance_wire::id::UserId;

/// Someone whose availability changed, and who may see that.
#[derive(Debug)]
pub struct AvailabilityChange {
    /// The user whose availability changed.
    pub user_id: UserId,
    /// Their friends, but for those whom they blocked.
    pub friends: Vec<UserId>,
}

/// Writes down that a node holds sockets of these users, who are available from now on, unless they said otherwise.
/// Returns those for whom that is a change.
pub async fn socket_opened(
    db: &Db,
    node: Uuid,
    users: &[UserId],
) -> sqlx::Result<Vec<AvailabilityChange>> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let changes = async {
            lock(&mut tx, users).await?;
            sqlx::query!(
                "insert into listeners (user_id, node_id) select user_id, $1 from users where user_id = any($2)
                on conflict on constraint listeners_key do nothing",
                node,
                users as _,
            )
            .execute(&mut *tx)
            .await?;
            sqlx::query_as!(
                AvailabilityChange,
                r#"
                update users set availability = 'available'
                where user_id = any($1) and availability = 'offline'
                returning user_id as "user_id: UserId", friends_who_see(user_id) as "friends!: Vec<UserId>"
                "#,
                users as _,
            )
            .fetch_all(&mut *tx)
            .await
        }
        .await;
        finish(tx, changes).await
    })
    .await
}

/// Writes down that a node holds no sockets of these users any more. Whom no node holds one of is offline. Returns
/// those for whom that is a change.
pub async fn socket_closed(
    db: &Db,
    node: Uuid,
    users: &[UserId],
) -> sqlx::Result<Vec<AvailabilityChange>> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let changes = async {
            lock(&mut tx, users).await?;
            sqlx::query!(
                "delete from listeners where node_id = $1 and user_id = any($2)",
                node,
                users as _
            )
            .execute(&mut *tx)
            .await?;
            offline(&mut tx, users).await
        }
        .await;
        finish(tx, changes).await
    })
    .await
}

/// Whoever changes who is online locks the users first. What comes after the lock sees what other nodes wrote before,
/// so of two that end at once the second one knows that both are gone, and one that begins is not overlooked.
async fn lock(c: &mut PgConnection, users: &[UserId]) -> sqlx::Result<()> {
    sqlx::query!(
        "select from users where user_id = any($1) order by user_id for no key update",
        users as _
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Commits what went well. A failure is rolled back here: a lock that is not given back would hold everyone up.
async fn finish<T>(tx: Transaction<'_, Postgres>, result: sqlx::Result<T>) -> sqlx::Result<T> {
    match result {
        Ok(_) => tx.commit().await?,
        Err(_) => tx.rollback().await?,
    }
    result
}

/// The users of whom the database says that this node holds a socket.
pub async fn online_on(db: &Db, node: Uuid) -> sqlx::Result<HashSet<UserId>> {
    let users: Vec<UserId> = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"select user_id as "user_id: UserId" from listeners where node_id = $1"#,
                node
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(users.into_iter().collect())
}

/// What a node hears when it says that it lives.
#[derive(Debug)]
pub struct Heartbeat {
    /// Whether it was taken for alive until now. Also `false` for the first beat.
    pub was_alive: bool,
    /// All others that live, or ended so lately that not all may have seen it.
    pub others: Vec<OtherNode>,
}

#[derive(Debug)]
/// Another node on this database.
pub struct OtherNode {
    /// Its id: a new one each time that it starts.
    pub node_id: Uuid,
    /// Whether it lives.
    pub is_alive: bool,
}

/// Says that a node lives, for so long from now. It is the database's clock that counts, for all nodes.
pub async fn heartbeat(db: &Db, node: Uuid, timeout: Duration) -> sqlx::Result<Heartbeat> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                with here as (
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

/// Says that no other node lives: the database is this one's alone.
pub async fn forget_other_nodes(db: &Db, node: Uuid) -> sqlx::Result<()> {
    db.run(async |c| {
        sqlx::query!("delete from nodes where node_id <> $1", node)
            .execute(c)
            .await
    })
    .await?;
    Ok(())
}

/// Says that a node has ended, on a connection of its own.
pub async fn node_ended(c: &mut PgConnection, node: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update nodes set ended_at = clock_timestamp() where node_id = $1",
        node
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Ends what nodes left behind that ended longer ago than this: those whose sockets they held, of at most a number of
/// users, are offline. What is left of a node itself goes once every other one that lives has said so after its end, and
/// thereby seen it.
pub async fn expire(
    db: &Db,
    grace: Duration,
    max_users: i64,
) -> sqlx::Result<Vec<AvailabilityChange>> {
    // First: whose row is gone has ended, too.
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
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let changes = async {
            lock(&mut tx, &left).await?;
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
            offline(&mut tx, &left).await
        }
        .await;
        finish(tx, changes).await
    })
    .await
}

/// Whoever of these has no socket on any node is offline. Returns those for whom that is a change.
async fn offline(c: &mut PgConnection, users: &[UserId]) -> sqlx::Result<Vec<AvailabilityChange>> {
    sqlx::query_as!(
        AvailabilityChange,
        r#"
        update users u set availability = 'offline'
        where u.user_id = any($1) and u.availability <> 'offline'
            and not exists (select from listeners l where l.user_id = u.user_id)
        returning u.user_id as "user_id: UserId", friends_who_see(u.user_id) as "friends!: Vec<UserId>"
        "#,
        users as _,
    )
    .fetch_all(c)
    .await
}
