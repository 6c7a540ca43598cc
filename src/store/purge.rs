//! The purge deletes rows that nobody can read any more, because a `clear` made them unreachable or
//! they expired. It works in small batches with a commit each, on rows that nobody else writes, so
//! writers are never blocked.

use std::time::Instant;

use chrono::TimeDelta;

use super::{Db, error::Result, retire::retire};
use parlance_wire::{id::ConversationId, time::Timestamp};

/// Maximum rows of each kind per commit.
const BATCH: i64 = 500;
/// Maximum conversations that are searched in a round for groups that nobody takes part in.
const SEARCHED: i64 = 1000;

/// Deletes the rows of earlier instances. Returns the number of deleted rows.
pub async fn cleared(db: &Db) -> Result<u64> {
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
        // `greatest`, as another node may have purged further meanwhile. Recorded last, so that an
        // interrupted purge starts again.
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

/// Deletes a batch of a conversation's rows up to a number. Returns the number of deleted rows.
pub(super) async fn delete_cleared(
    db: &Db,
    conversation: ConversationId,
    up_to: i64,
) -> Result<u64> {
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
    let messages = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"
                with gone as (
                    delete from messages m using (
                        select seq from messages
                        where conversation_id = $1 and seq <= $2
                        order by seq limit $3 for update
                    ) due where m.conversation_id = $1 and m.seq = due.seq
                    returning m.user_id, message_bytes(m.data) as bytes
                ), freed as (
                    insert into usage_changes (user_ids, bytes)
                    select array_agg(user_id), array_agg(-bytes) from gone having count(*) > 0
                )
                select count(*) as "count!" from gone
                "#,
                conversation as _,
                up_to,
                BATCH,
            )
            .fetch_one(c)
            .await
        })
        .await?
        .unsigned_abs();
    let reports = delete!(
        "delete from reports r using (
            select seq from reports
            where conversation_id = $1 and seq <= $2
            order by seq limit $3 for update
        ) due where r.conversation_id = $1 and r.seq = due.seq"
    );
    // After the messages, so that rows that another node was moving here have arrived by now.
    let expired = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"
                with gone as (
                    delete from expired_messages e using (
                        select seq from expired_messages
                        where conversation_id = $1 and seq <= $2
                        order by seq limit $3 for update
                    ) due where e.conversation_id = $1 and e.seq = due.seq
                    returning e.user_id
                ), freed as (
                    insert into usage_changes (user_ids, bytes)
                    select array_agg(user_id), array_agg(-message_bytes('')) from gone having count(*) > 0
                )
                select count(*) as "count!" from gone
                "#,
                conversation as _,
                up_to,
                BATCH,
            )
            .fetch_one(c)
            .await
        })
        .await?
        .unsigned_abs();
    // Messages of epochs that ended before are gone, so the epochs' secrets are of no use any more.
    let secrets = delete!(
        "with ended as materialized (
            select n.epoch - 1 as epoch from epochs n where n.conversation_id = $1 and n.from_seq <= $2
        ), began as materialized (
            -- What they count is given back with the first batch.
            select e.epoch, e.user_id, e.bytes - octet_length(e.announcement) as freed
            from epochs e
            where e.conversation_id = $1 and e.bytes > octet_length(e.announcement)
                and e.epoch = any(array(select epoch from ended))
            order by e.epoch for update
        ), shared as materialized (
            select s.epoch, s.user_id, s.bytes as freed from shared_secrets s
            where s.conversation_id = $1 and s.epoch = any(array(select epoch from ended))
                and (select count(*) from began) >= 0
            order by s.epoch, s.user_id for update
        ), counted as (
            insert into usage_changes (user_ids, bytes)
            select array_agg(user_id), array_agg(-freed)
            from (select user_id, freed from began union all select user_id, freed from shared) given_back
            having count(*) > 0
        ), began_freed as (
            update epochs e set bytes = octet_length(e.announcement)
            from began b where e.conversation_id = $1 and e.epoch = b.epoch
        ), shared_freed as (
            delete from shared_secrets s
            using shared d where s.conversation_id = $1 and s.epoch = d.epoch and s.user_id = d.user_id
        )
        delete from epoch_secrets s using (
            select s.epoch, s.user_id from epoch_secrets s
            where s.conversation_id = $1 and s.epoch = any(array(select epoch from ended))
                -- Epochs are locked before their secrets, as by `epoch::forget_unused`: two that lock both cannot deadlock.
                and (select count(*) from shared) >= 0
            order by s.epoch, s.user_id limit $3 for update
        ) due where s.conversation_id = $1 and s.epoch = due.epoch and s.user_id = due.user_id"
    );
    let files = delete_files(db, conversation, up_to).await?;
    // Uploads of an earlier instance get no message any more.
    let uploads = delete!(
        "with due as materialized (
            select f.file_key from files f
            join conversations c using (conversation_id)
            where f.conversation_id = $1 and f.message_seq is null and f.instance <> c.instance
                and c.cleared_seq >= $2
            order by f.file_key limit $3 for update of f
        ), gone as (
            delete from files where file_key = any(array(select file_key from due))
            returning file_key, user_id, size
        )
        insert into gone_files (file_key, user_id, size) select * from gone"
    );
    Ok(messages + reports + expired + secrets + files + uploads)
}

/// Deletes a batch of the files of a conversation's messages up to a number. Returns the number of files that
/// were there, some of which others may have deleted meanwhile.
async fn delete_files(db: &Db, conversation: ConversationId, up_to: i64) -> Result<u64> {
    let due = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"
                with due as materialized (
                    select file_key from files
                    where conversation_id = $1 and message_seq <= $2
                    order by message_seq limit $3
                ), locked as materialized (
                    -- In the order of their keys, as everywhere: two that lock several cannot deadlock.
                    select file_key from files where file_key = any(array(select file_key from due))
                    order by file_key for update
                ), gone as (
                    delete from files where file_key = any(array(select file_key from locked))
                    returning file_key, user_id, size
                ), queued as (
                    insert into gone_files (file_key, user_id, size) select file_key, user_id, size from gone
                )
                select count(*) as "count!" from due
                "#,
                conversation as _,
                up_to,
                BATCH,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok(due.unsigned_abs())
}

/// Deletes groups that nobody takes part in and nobody is invited to, once all their rows and files are
/// purged: those among the next conversations after this one. `after` becomes the start of the next round:
/// `None` after the last conversation.
///
/// # Errors
/// The last error of the database. Other groups are deleted nevertheless.
pub async fn empty_groups(db: &Db, after: &mut Option<ConversationId>) -> Result<()> {
    let searched = db
        .run(async |c| {
            sqlx::query!(
                // Looked up one by one: a plan with `not exists` would read whole tables.
                r#"select conversation_id as "id: ConversationId", last_seq,
                    is_group and purged_seq = last_seq
                        and (select true from participants p where p.conversation_id = c.conversation_id limit 1) is null
                        and (select true from invitations i where i.conversation_id = c.conversation_id limit 1) is null
                        and (select true from files f where f.conversation_id = c.conversation_id limit 1) is null
                        as "is_empty!"
                from conversations c
                where conversation_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
                order by conversation_id limit $2"#,
                *after as _,
                SEARCHED,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    let may_have_more = searched.len() as u64 == SEARCHED.unsigned_abs();
    *after = searched.last().map(|row| row.id).filter(|_| may_have_more);
    let mut failed = None;
    for group in searched.iter().filter(|row| row.is_empty) {
        let begun = Instant::now();
        // One that cannot be deleted does not keep the others.
        if let Err(error) = delete_unused(db, group.id, group.last_seq).await {
            failed = Some(error);
        }
        rest(begun).await;
    }
    failed.map_or(Ok(()), Err)
}

/// Deletes a conversation whose rows up to this number were deleted, with what is known of who took part;
/// unless it has newer rows, or somebody takes part or is invited. Of a group its id remains.
pub(super) async fn delete_unused(db: &Db, conversation: ConversationId, up_to: i64) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "with unused as materialized (
                select conversation_id, is_group from conversations c
                where conversation_id = $1 and last_seq = $2
                    and (select true from participants p where p.conversation_id = c.conversation_id limit 1) is null
                    and (select true from invitations i where i.conversation_id = c.conversation_id limit 1) is null
                for update
            ), former as (
                delete from former_participants where conversation_id = (select conversation_id from unused)
            ), departed as (
                delete from departures where conversation_id = (select conversation_id from unused)
            ), secrets as (
                delete from epoch_secrets where conversation_id = (select conversation_id from unused)
            ), ended as (
                delete from epochs where conversation_id = (select conversation_id from unused)
                returning user_id, bytes
            ), shared as (
                delete from shared_secrets where conversation_id = (select conversation_id from unused)
                returning user_id, bytes
            ), freed as (
                insert into usage_changes (user_ids, bytes)
                select array_agg(user_id), array_agg(-bytes)
                from (select user_id, bytes from ended union all select user_id, bytes from shared) given_back
                where bytes > 0 having count(*) > 0
            ), kept as (
                -- That of a direct conversation is used again by the same two.
                -- (An older node may have created a group with such an id again.)
                insert into former_groups (conversation_id) select conversation_id from unused where is_group
                on conflict do nothing
            )
            delete from conversations where conversation_id = (select conversation_id from unused)",
            conversation as _,
            up_to,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Deletes the text of messages that ended, and were stored, before this, with their reports. What
/// the chain and retries need of them remains. Returns the number of messages.
///
/// A report that is stored at the same moment stays, as its message's link remains. A batch that
/// cannot be deleted, for example because very many reports exceed the statement's time limit, is
/// retried with half the size.
pub async fn expired(db: &Db, ended_before: Timestamp) -> Result<u64> {
    let ended = drain(db, Due::Ended, ended_before).await?;
    Ok(ended + drain(db, Due::Kept, ended_before).await?)
}

/// Why messages are due.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// They expired, as their senders said.
    Ended,
    /// They were kept for as long as the operator keeps any, because their `ValidUntil` is farther away.
    Kept,
}

/// Moves batches until there are no more. Returns the number of messages.
async fn drain(db: &Db, due: Due, due_before: Timestamp) -> Result<u64> {
    let (mut moved, mut from, mut batch) = (0, None, BATCH);
    loop {
        let begun = Instant::now();
        match move_batch(db, due, due_before, from, batch).await {
            // Whatever the error: once the batch is a single message and still fails, its error is
            // returned.
            Err(_) if batch > 1 => batch /= 2,
            Err(error) => return Err(error),
            Ok((count, newest)) => {
                moved += count.unsigned_abs();
                // The next batch skips what this one deleted. Rows that are locked by others are
                // left for the next round.
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

/// Moves a batch of messages that became due between two moments. Returns the number of messages, and
/// when the last of them became due.
async fn move_batch(
    db: &Db,
    due: Due,
    due_before: Timestamp,
    from: Option<Timestamp>,
    batch: i64,
) -> Result<(i64, Option<Timestamp>)> {
    db.run(async |c| match due {
        Due::Ended => {
            retire!(
                query,
                r#"
with due as materialized (
    -- The expired messages. Rows that are locked by others are left for the next round.
    select ctid, greatest(valid_until, stored_at) as ended_at from messages
    -- A message that had already ended when it was stored is kept as long as if it had ended then.
    where greatest(valid_until, stored_at) < $1
        and greatest(valid_until, stored_at) >= coalesce($2::timestamptz, '-infinity')
    order by greatest(valid_until, stored_at) limit $3
    for update skip locked"#,
                r#")
select count(*) as "count!", max(ended_at) as "newest: Timestamp" from due"#,
                due_before as _,
                from as _,
                batch,
            )
            .fetch_one(c)
            .await
            .map(|row| (row.count, row.newest))
        }
        Due::Kept => {
            retire!(
                query,
                r#"
with due as materialized (
    select ctid, keep_until from messages
    -- The one is of the server's clock, the other of the database's.
    where keep_until < $1 and stored_at < $1 and keep_until >= coalesce($2::timestamptz, '-infinity')
    order by keep_until limit $3
    for update skip locked"#,
                r#")
select count(*) as "count!", max(keep_until) as "newest: Timestamp" from due"#,
                due_before as _,
                from as _,
                batch,
            )
            .fetch_one(c)
            .await
            .map(|row| (row.count, row.newest))
        }
    })
    .await
}

/// Maximum seconds between two observations of the clock. After a longer gap the clock may have
/// been changed, or no server was running.
const MAX_GAP: f64 = 300.0;

/// Records that a server is running at this moment of the database's clock.
pub async fn note_run(db: &Db) -> Result<()> {
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

/// The moment since which servers have run for `grace` in total, as recorded by [`note_run`].
/// Anything stored later has not been kept for that long, whatever its times say, as the clock may
/// have been wrong when it was stored. Returns `None` if servers have not run for that long yet.
pub async fn kept_since(db: &Db, grace: TimeDelta) -> Result<Option<Timestamp>> {
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
                       -- If the clock was set back, the earliest of all.
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

/// Sleeps eight times as long as the work took: the purge is not urgent, and must not slow writers
/// down.
pub(super) async fn rest(since: Instant) {
    tokio::time::sleep(since.elapsed() * 8).await;
}
