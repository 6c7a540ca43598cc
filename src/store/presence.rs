//! Who is there: which nodes run, and whose sockets they hold.

use uuid::Uuid;

use super::Db;
use crate::model::{id::UserId, time::Timestamp};

/// Someone whose availability changed, and who may see that.
#[derive(Debug)]
pub struct Seen {
    /// Who.
    pub user_id: UserId,
    /// Their friends, but for those whom they blocked.
    pub friends: Vec<UserId>,
}

/// Writes down that a node holds a socket of a user's, who is available from now on, unless they said
/// otherwise. `Some`: that is a change.
pub async fn arrive(db: &Db, node: Uuid, user: UserId) -> sqlx::Result<Option<Seen>> {
    db.run(async |c| {
        sqlx::query_as!(
            Seen,
            r#"
            with here as (
                insert into listeners (user_id, node_id) values ($1, $2)
                on conflict on constraint listeners_key do nothing
            )
            update users set availability = 'available'
            where user_id = $1 and availability = 'offline'
            returning user_id as "user_id: UserId", friends_who_see(user_id) as "friends!: Vec<UserId>"
            "#,
            user as _,
            node,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// Writes down that a node holds no socket of a user's any more. If no node does, the user is offline.
/// `Some`: that is a change.
pub async fn leave(db: &Db, node: Uuid, user: UserId) -> sqlx::Result<Option<Seen>> {
    db.run(async |c| sqlx::query!("delete from listeners where user_id = $1 and node_id = $2", user as _, node).execute(c).await).await?;
    // A statement of its own: of two nodes that end at once, the second one sees that both are gone.
    Ok(offline(db, &[user]).await?.pop())
}

/// Says that a node lives until a time; answers the other ones that do.
pub async fn beat(db: &Db, node: Uuid, now: Timestamp, until: Timestamp) -> sqlx::Result<Vec<Uuid>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"
            with here as (
                insert into nodes (node_id, alive_until) values ($1, $3)
                on conflict on constraint nodes_key do update set alive_until = excluded.alive_until
            )
            select node_id from nodes where node_id <> $1 and alive_until >= $2
            "#,
            node,
            now as _,
            until as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Says that no other node lives: the database is this one's alone.
pub async fn alone(db: &Db, node: Uuid) -> sqlx::Result<()> {
    db.run(async |c| sqlx::query!("delete from nodes where node_id <> $1", node).execute(c).await).await?;
    Ok(())
}

/// Says that a node ends.
pub async fn end(db: &Db, node: Uuid) -> sqlx::Result<()> {
    db.run(async |c| sqlx::query!("delete from nodes where node_id = $1", node).execute(c).await).await?;
    Ok(())
}

/// Ends what nodes that are gone left behind: those whose sockets they held are offline.
pub async fn reap(db: &Db, now: Timestamp) -> sqlx::Result<Vec<Seen>> {
    let left: Vec<UserId> = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"
                delete from listeners l
                where not exists (select from nodes n where n.node_id = l.node_id and n.alive_until >= $1)
                returning user_id as "user_id: UserId"
                "#,
                now as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    db.run(async |c| sqlx::query!("delete from nodes where alive_until < $1", now as _).execute(c).await).await?;
    if left.is_empty() { Ok(vec![]) } else { offline(db, &left).await }
}

/// Whoever of these has no socket on any node is offline. Answers those for whom that is a change.
async fn offline(db: &Db, users: &[UserId]) -> sqlx::Result<Vec<Seen>> {
    db.run(async |c| {
        sqlx::query_as!(
            Seen,
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
    })
    .await
}
