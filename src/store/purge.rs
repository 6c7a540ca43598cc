//! Deletes what nobody can read any more: what a `clear` made unreachable, and what expired. In small batches,
//! each a commit of its own, of rows that nobody else writes: writers are never blocked.

use std::time::Instant;

use chrono::TimeDelta;

use super::Db;
use parlance_wire::{id::ConversationId, time::Timestamp};

/// Rows of each kind deleted in one commit, at most.
const BATCH: i64 = 500;

/// Deletes the rows of earlier instances, until there are none left. How many it deleted.
pub async fn cleared(db: &Db) -> sqlx::Result<u64> {
    let mut deleted = 0;
    while let Some(due) = db
        .run(async |c| {
            sqlx::query!(
                r#"select conversation_id as "id: ConversationId", cleared_seq from conversations
                where purged_seq < cleared_seq order by conversation_id limit 1"#
            )
            .fetch_optional(c)
            .await
        })
        .await?
    {
        loop {
            let begun = Instant::now();
            let rows = delete_cleared(db, due.id, due.cleared_seq).await?;
            deleted += rows;
            if rows == 0 {
                break;
            }
            rest(begun).await;
        }
        db.run(async |c| {
            sqlx::query!(
                "update conversations set purged_seq = greatest(purged_seq, $2) where conversation_id = $1",
                due.id as _,
                due.cleared_seq,
            )
            .execute(c)
            .await
        })
        .await?;
    }
    Ok(deleted)
}

/// A batch of a conversation's rows up to a number. How many there were.
async fn delete_cleared(db: &Db, conversation: ConversationId, up_to: i64) -> sqlx::Result<u64> {
    macro_rules! delete {
        ($query:literal) => {
            db.run(async |c| {
                sqlx::query!($query, conversation as _, up_to, BATCH)
                    .execute(c)
                    .await
            })
            .await?
            .rows_affected()
        };
    }
    let messages = delete!(
        "delete from messages m using (
            select conversation_id, seq from messages
            where conversation_id = $1 and seq <= $2
            order by seq limit $3 for update
        ) due where m.conversation_id = due.conversation_id and m.seq = due.seq"
    );
    let reports = delete!(
        "delete from reports r using (
            select conversation_id, seq from reports
            where conversation_id = $1 and seq <= $2
            order by seq limit $3 for update
        ) due where r.conversation_id = due.conversation_id and r.seq = due.seq"
    );
    // After the messages: what another node was about to move from there has arrived here by now.
    let expired = delete!(
        "delete from expired_messages e using (
            select conversation_id, seq from expired_messages
            where conversation_id = $1 and seq <= $2
            order by seq limit $3 for update
        ) due where e.conversation_id = due.conversation_id and e.seq = due.seq"
    );
    Ok(messages + reports + expired)
}

/// Deletes the text of messages that ended, and were stored, before this, with the reports about them, until there
/// are none left; what the chain and a retry need of them remains. How many messages it were.
///
/// A report that is stored at the same moment stays: it is about a message that remains. A batch that cannot be
/// deleted, as one with very many reports in the time that a statement has, is tried again with half as many.
pub async fn expired(db: &Db, ended_before: Timestamp) -> sqlx::Result<u64> {
    let (mut moved, mut from, mut batch) = (0, None, BATCH);
    loop {
        let begun = Instant::now();
        match move_expired(db, ended_before, from, batch).await {
            Err(_) if batch > 1 => batch /= 2,
            Err(error) => return Err(error),
            Ok((count, newest)) => {
                moved += u64::try_from(count).unwrap_or(0);
                // The next batch does not read past what this one deleted. Rows that others hold come with the next round.
                from = newest.or(from);
                if count < batch {
                    return Ok(moved);
                }
                batch = (batch * 2).min(BATCH);
            }
        }
        rest(begun).await;
    }
}

/// A batch of messages that ended from one moment on and before another. How many there were, and when the last ended.
async fn move_expired(
    db: &Db,
    ended_before: Timestamp,
    from: Option<Timestamp>,
    batch: i64,
) -> sqlx::Result<(i64, Option<Timestamp>)> {
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"
                    with due as materialized (
                        select ctid, greatest(valid_until, stored_at) as ended_at from messages
                        where greatest(valid_until, stored_at) < $1
                            and greatest(valid_until, stored_at) >= coalesce($2::timestamptz, '-infinity')
                        order by greatest(valid_until, stored_at) limit $3
                        for update skip locked
                    ), gone as (
                        delete from messages where ctid = any(array(select ctid from due)) returning *
                    ), about as materialized (
                        -- Looked up one by one: a join would be planned by how much there was at that time.
                        select r.place, g.conversation_id, g.seq from gone g
                        cross join lateral (
                            select ctid as place from reports r
                            where r.conversation_id = g.conversation_id and r.message_seq = g.seq
                            offset 0
                        ) r
                    ), counted as materialized (
                        select conversation_id, seq, count(*) as reports from about group by conversation_id, seq
                    ), unreported as (
                        delete from reports where ctid = any(array(select place from about))
                    ), kept as (
                        insert into expired_messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                                      created_at, sent_at, valid_until, data_hash, chain, reports)
                        select conversation_id, seq, message_id, instance, user_id, station_id, type,
                               created_at, sent_at, valid_until, sha256(convert_to(data, 'UTF8')), chain, coalesce(n.reports, 0)
                        from gone g
                        left join counted n using (conversation_id, seq)
                    )
                    select count(*) as "count!", max(ended_at) as "newest: Timestamp" from due
                    "#,
                ended_before as _,
                from as _,
                batch,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok((row.count, row.newest))
}

/// A clock that was not looked at for longer than this may have been set meanwhile, or the server did not run.
const MAX_GAP: f64 = 300.0;

/// Notes that a server runs at this moment of the database's clock.
pub async fn note_run(db: &Db) -> sqlx::Result<()> {
    let extended = db
        .run(async |c| {
            sqlx::query!(
                "update clock_runs set seen_at = clock_timestamp()
                where run_id = (select max(run_id) from clock_runs)
                    and clock_timestamp() between seen_at and seen_at + make_interval(secs => $1)",
                MAX_GAP,
            )
            .execute(c)
            .await
        })
        .await?;
    if extended.rows_affected() == 0 {
        db.run(async |c| {
            sqlx::query!("insert into clock_runs (started_at, seen_at) select t, t from (select clock_timestamp() as t) now")
                .execute(c)
                .await
        })
        .await?;
    }
    Ok(())
}

/// Since when servers have been seen to run for `grace` in all, by what [`note_run`] noted. What was stored after that has
/// not been kept for so long, whatever its times say: the clock may have been wrong when it was stored. `None`: servers
/// have not been seen to run for so long yet.
pub async fn kept_since(db: &Db, grace: TimeDelta) -> sqlx::Result<Option<Timestamp>> {
    let seconds = grace.as_seconds_f64();
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"
                with run as (
                    select run_id, started_at, sum(seen_at - started_at) over (order by run_id desc) as total,
                           seen_at - started_at as length
                    from clock_runs
                ), needed as (
                    -- Those that overlap with the last `grace` of the time in which servers ran.
                    select * from run where total - length < make_interval(secs => $1)
                )
                select min(run_id) as oldest,
                       -- A clock that was set back: of all, the earliest.
                       case when max(total) >= make_interval(secs => $1) then
                           min(started_at + greatest(total - make_interval(secs => $1), interval '0'))
                       end as "since: Timestamp"
                from needed
                "#,
                seconds,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    if row.since.is_some() {
        db.run(async |c| {
            sqlx::query!("delete from clock_runs where run_id < $1", row.oldest)
                .execute(c)
                .await
        })
        .await?;
    }
    Ok(row.since)
}

/// Eight times as long as the work took: nothing of this is urgent, and writers keep their pace.
async fn rest(since: Instant) {
    tokio::time::sleep(since.elapsed() * 8).await;
}
