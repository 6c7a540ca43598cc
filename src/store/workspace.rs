//! Workspaces: host names, each registered for one user.

use super::{Db, db::End, deletion, error::Result};
use parlance_wire::{id::UserId, text::WorkspaceName, time::Timestamp};

/// The outcome of a registration.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Registered {
    /// It belongs to the user, now or since an earlier call.
    Owned,
    /// It belongs to someone else.
    Taken,
    /// The user has the maximum of workspaces.
    TooMany,
    /// The user does not exist any more.
    NoUser,
}

/// Registers a host name for a user, who may have at most `max`.
pub(crate) async fn register(
    db: &Db,
    name: &WorkspaceName,
    user: UserId,
    max: i64,
    now: Timestamp,
) -> Result<Registered> {
    db.transaction(async |c| {
        if !deletion::prevent(c, [user]).await? {
            return Ok(End::Rollback(Registered::NoUser));
        }
        // `do update` changes nothing, but unlike `do nothing` returns the owner of a name that is
        // taken. A user who has the maximum inserts nothing, and the owner is read.
        let row = sqlx::query!(
            r#"
            with stored as (
                insert into workspaces (name, user_id, registered_at)
                select $1, $2, $3
                where (select count(*) from workspaces where user_id = $2) < $4
                on conflict on constraint workspaces_key do update set user_id = workspaces.user_id
                returning user_id
            )
            select coalesce((select user_id from stored), (select user_id from workspaces where name = $1)) as "owner: UserId"
            "#,
            name.as_str(),
            user as _,
            now as _,
            max,
        )
        .fetch_one(c)
        .await?;
        Ok(match row.owner {
            Some(owner) if owner == user => End::Commit(Registered::Owned),
            Some(_) => End::Rollback(Registered::Taken),
            None => End::Rollback(Registered::TooMany),
        })
    })
    .await
}
