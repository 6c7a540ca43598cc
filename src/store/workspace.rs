//! Workspaces: host names, each registered for one user.

use super::{Db, error::Result};
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
}

/// Registers a host name for a user, who may have at most `max`.
pub(crate) async fn register(
    db: &Db,
    name: &WorkspaceName,
    user: UserId,
    max: i64,
    now: Timestamp,
) -> Result<Registered> {
    let row = db
        .run(async |c| {
            // `do update` changes nothing, but unlike `do nothing` returns the owner of a name that
            // is taken. A user who has the maximum inserts nothing, and the owner is read.
            sqlx::query!(
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
            .await
        })
        .await?;
    Ok(match row.owner {
        Some(owner) if owner == user => Registered::Owned,
        Some(_) => Registered::Taken,
        None => Registered::TooMany,
    })
}
