//! Friendships: two users are friends when each has requested the other; a single request waits for
//! an answer.

use super::{Db, db::End, deletion, error::Result};
use crate::store::rows::{FriendRow, RequestRow};
use parlance_wire::{id::UserId, time::Timestamp};

/// A user's friends, by id. A friend who blocked the reader shows as `offline`. Nicks are compared
/// with others for similarity only if `compare_nicks` is set.
pub(crate) async fn friends_of(
    db: &Db,
    reader: UserId,
    compare_nicks: bool,
) -> Result<Vec<FriendRow>> {
    db.run(async |c| {
        // A friend who blocked the reader is shown as offline instead of left out, as a block must
        // not show.
        sqlx::query_as!(
            FriendRow,
            r#"
            select u.user_id as "user_id: UserId", u.nick, u.public_key, $2 and exists (
                       select from users o
                       where o.nick_skeleton = u.nick_skeleton and o.user_id <> u.user_id and o.deleted_at is null
                   ) as "is_alike!",
                   case when b.user_id is null then u.availability else 'offline' end as "availability!"
            from friendships f
            join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
            join users u on u.user_id = f.friend_id
            left join blocks b on b.user_id = f.friend_id and b.blocked_id = f.user_id
            where f.user_id = $1
            order by u.user_id
            "#,
            reader as _,
            compare_nicks,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// The users whose requests wait for a user's answer, the oldest first.
pub(crate) async fn requests_to(db: &Db, reader: UserId) -> Result<Vec<RequestRow>> {
    db.run(async |c| {
            sqlx::query_as!(
                RequestRow,
                r#"
                select f.user_id as "user_id: UserId", u.nick, exists (
                           select from users o
                           where o.nick_skeleton = u.nick_skeleton and o.user_id <> u.user_id and o.deleted_at is null
                       ) as "is_alike!"
                from friendships f
                join users u using (user_id)
                where f.friend_id = $1
                    and not exists (select from friendships g where g.user_id = $1 and g.friend_id = f.user_id)
                    and not exists (select from blocks b where b.user_id = $1 and b.blocked_id = f.user_id)
                order by f.requested_at, f.user_id
                "#,
                reader as _,
            )
            .fetch_all(c)
            .await
        })
        .await
}

/// The friends of a user who have deleted their accounts, with their id and the nick that they had. A new
/// account of the same address that is a friend again is not among them.
pub(crate) async fn left(db: &Db, reader: UserId) -> Result<Vec<(UserId, String)>> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                select l.friend_id as "friend_id: UserId", l.nick
                from left_friends l
                where l.user_id = $1
                    and not exists (select from friendships f where f.user_id = $1 and f.friend_id = l.friend_id)
                order by l.left_at, l.friend_id
                "#,
                reader as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.friend_id, row.nick))
        .collect())
}

/// Removes a friend who has left from the list. Returns whether there was one.
pub(crate) async fn forget_left(db: &Db, user: UserId, friend: UserId) -> Result<bool> {
    let deleted = db
        .run(async |c| {
            sqlx::query!(
                "delete from left_friends where user_id = $1 and friend_id = $2
                    and not exists (select from friendships f where f.user_id = $1 and f.friend_id = $2)",
                user as _,
                friend as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// The requests and blocks between two users.
#[derive(Debug)]
pub(crate) struct Relation {
    /// The first has requested the second.
    pub outgoing: bool,
    /// The second has requested the first.
    pub incoming: bool,
    /// The second has blocked the first.
    pub blocked: bool,
}

/// The relation between `user` and `other`. Returns `None` if `other` does not exist.
pub(crate) async fn relation(db: &Db, user: UserId, other: UserId) -> Result<Option<Relation>> {
    db.run(async |c| {
        sqlx::query_as!(
            Relation,
            r#"
            select exists (select from friendships where user_id = $1 and friend_id = $2) as "outgoing!",
                   exists (select from friendships where user_id = $2 and friend_id = $1) as "incoming!",
                   exists (select from blocks where user_id = $2 and blocked_id = $1) as "blocked!"
            from users u
            where u.user_id = $2 and u.deleted_at is null
            "#,
            user as _,
            other as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// Stores the request of `user` to `friend`, which may answer theirs. Returns whether it is new, or
/// `None` if one of them does not exist any more.
pub(crate) async fn request(
    db: &Db,
    user: UserId,
    friend: UserId,
    now: Timestamp,
) -> Result<Option<bool>> {
    db.transaction(async |c| {
        if !deletion::prevent(c, [user, friend]).await? {
            return Ok(End::Rollback(None));
        }
        // Each writes a row of their own: two users who request each other at the same moment are
        // friends, whatever the order of the commits.
        let inserted = sqlx::query!(
            "insert into friendships (user_id, friend_id, requested_at) values ($1, $2, $3)
            on conflict on constraint friendships_key do nothing",
            user as _,
            friend as _,
            now as _,
        )
        .execute(c)
        .await?;
        Ok(End::Commit(Some(inserted.rows_affected() > 0)))
    })
    .await
}

/// Ends a friendship, or a request in either direction. Returns whether there was one.
pub(crate) async fn withdraw(db: &Db, user: UserId, friend: UserId) -> Result<bool> {
    let deleted = db
        .run(async |c| {
            // Both rows, as one that is left over would be a new request by the other user.
            sqlx::query!(
                "delete from friendships
                where (user_id = $1 and friend_id = $2) or (user_id = $2 and friend_id = $1)",
                user as _,
                friend as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(deleted.rows_affected() > 0)
}
