//! Blocks between users.

use super::{Db, db::End, deletion, error::Result};
use parlance_wire::{id::UserId, time::Timestamp};

/// The users whom a user has blocked, by id.
pub(crate) async fn blocked_by(db: &Db, user: UserId) -> Result<Vec<UserId>> {
    db.run(async |c| {
        sqlx::query_scalar!(r#"select blocked_id as "id: UserId" from blocks where user_id = $1 order by blocked_id"#, user as _,)
            .fetch_all(c)
            .await
    })
    .await
}

/// Blocks a user, and declines their pending friend request. Returns whether the block is new, or
/// `None` if the blocking user does not exist any more.
pub(crate) async fn block(
    db: &Db,
    user: UserId,
    blocked: UserId,
    now: Timestamp,
) -> Result<Option<bool>> {
    db.transaction(async |c| {
        if !deletion::prevent(c, [user]).await? {
            return Ok(End::Rollback(None));
        }
        // A friendship is kept, and comes back when the block is removed.
        let row = sqlx::query!(
            r#"
            with declined as (
                delete from friendships f
                where f.user_id = $2 and f.friend_id = $1
                    and not exists (select from friendships g where g.user_id = $1 and g.friend_id = $2)
            ), stored as (
                insert into blocks (user_id, blocked_id, blocked_at) values ($1, $2, $3)
                on conflict on constraint blocks_key do nothing
                returning user_id
            )
            select exists (select from stored) as "new!"
            "#,
            user as _,
            blocked as _,
            now as _,
        )
        .fetch_one(c)
        .await?;
        Ok(End::Commit(Some(row.new)))
    })
    .await
}

/// Removes a block. Returns whether there was one.
pub(crate) async fn unblock(db: &Db, user: UserId, blocked: UserId) -> Result<bool> {
    let deleted = db
        .run(async |c| {
            sqlx::query!(
                "delete from blocks where user_id = $1 and blocked_id = $2",
                user as _,
                blocked as _
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(deleted.rows_affected() > 0)
}
