//! Users without a socket: they stay as available as they said while they call, and for a while after.

use std::time::Duration;

use super::{AvailabilityChange, set_offline};
use crate::store::{Db, db::End, error::Result};
use parlance_wire::id::UserId;

/// Records that these users called, unless that was recorded less than `interval` ago, or does not
/// matter: they are offline, or have a socket.
pub(crate) async fn record(db: &Db, users: &[UserId], interval: Duration) -> Result<()> {
    db.run(async |c| {
        // Locked rows are skipped: their users will call again. Not `<>`, which would let a
        // plan that was made while everyone was offline read `users_by_call` instead of a few keys.
        sqlx::query!(
            "with due as (
                select user_id from users u
                where user_id = any($1) and nullif(availability, 'offline') is not null
                    and called_at < now() - make_interval(secs => $2)
                    and not exists (select from listeners l where l.user_id = u.user_id)
                for no key update skip locked
            )
            update users u set called_at = now() from due d where u.user_id = d.user_id",
            users as _,
            interval.as_secs_f64(),
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Sets at most `max_users` of the users offline who have no socket on any node, and have not called
/// for this long. Returns the users for whom that is a change.
pub(crate) async fn expire(
    db: &Db,
    silent_after: Duration,
    max_users: i64,
) -> Result<Vec<AvailabilityChange>> {
    db.transaction(async |tx| {
        // Locked, as a socket that opens locks them, too.
        let silent = sqlx::query_scalar!(
            r#"
            select user_id as "user_id: UserId" from users u
            where availability <> 'offline' and called_at < now() - make_interval(secs => $1)
                and not exists (select from listeners l where l.user_id = u.user_id)
            limit $2
            for no key update skip locked
            "#,
            silent_after.as_secs_f64(),
            max_users,
        )
        .fetch_all(&mut *tx)
        .await?;
        if silent.is_empty() {
            return Ok(End::Rollback(vec![]));
        }
        // It sees sockets that were opened before their users were locked.
        Ok(End::Commit(set_offline(tx, &silent).await?))
    })
    .await
}
