//! Counts the bytes of each user's messages, and of the epochs that they began. Each transaction that
//! stores or deletes some appends the difference to `usage_changes`; a node adds them up every minute.

use std::collections::HashMap;

use super::{Db, error::Result};
use parlance_wire::id::UserId;

/// Maximum statements whose changes are added up in one commit.
const BATCH: i64 = 1000;

/// Adds up the changes so far. May run on several nodes at once.
///
/// # Errors
/// Those of the database.
pub async fn add_up(db: &Db) -> Result<()> {
    loop {
        let added = db
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"
                    with due as materialized (
                        -- Those that another node is adding up are left to it.
                        select ctid from usage_changes limit $1 for update skip locked
                    ), taken as (
                        delete from usage_changes where ctid = any(array(select ctid from due)) returning user_ids, bytes
                    ), summed as (
                        insert into usage as u (user_id, bytes)
                        -- In one order, so that two nodes cannot deadlock.
                        select c.user_id, sum(c.bytes) from taken t
                        cross join lateral unnest(t.user_ids, t.bytes) c (user_id, bytes)
                        group by c.user_id order by c.user_id
                        on conflict on constraint usage_key do update set bytes = u.bytes + excluded.bytes
                    )
                    select count(*) as "count!" from taken
                    "#,
                    BATCH,
                )
                .fetch_one(c)
                .await
            })
            .await?;
        if added < BATCH {
            return Ok(());
        }
    }
}

/// The users whose messages have reached their limit: `person` or `service` bytes, unless an
/// operator has set a limit of their own.
///
/// # Errors
/// Those of the database.
pub(crate) async fn full(db: &Db, person: u64, service: u64) -> Result<HashMap<UserId, i64>> {
    let bytes = |limit: u64| i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                select u.user_id as "user_id!: UserId", u.bytes as "bytes!"
                from usage u
                where u.bytes >= least($1::bigint, $2::bigint)
                    and u.bytes >= case when is_service(u.user_id) then $2 else $1 end
                    and not exists (
                        select from user_limits l where l.user_id = u.user_id and l.stored_bytes is not null
                    )
                union all
                -- Apart, so that one small limit does not have all users looked at.
                select u.user_id, u.bytes
                from user_limits l join usage u using (user_id)
                where u.bytes >= l.stored_bytes
                "#,
                bytes(person),
                bytes(service),
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.user_id, row.bytes))
        .collect())
}
