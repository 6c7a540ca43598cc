//! How files end. Whatever deletes one moves it to `gone_files` in the same commit: from then on nobody
//! can read it. Its records, which may be many, are deleted in the background.

use std::time::{Duration, Instant};

use chrono::TimeDelta;

use super::{FileKey, stores::Stores, sweep};
use crate::store::{Db, db::End, error::Result, purge::rest};
use parlance_wire::{
    id::{FileId, UserId},
    time::Timestamp,
};

/// Maximum files that are deleted in one commit.
const BATCH: i64 = 500;
/// Maximum deleted files whose records are deleted together.
const FILES: i64 = 256;
/// Maximum records that are deleted in one commit: 16 MiB.
const RECORDS: i64 = 64;
/// How long a file is kept that no message has.
const UNTIED: TimeDelta = TimeDelta::hours(24);

/// The outcome of deleting a file.
#[derive(Debug)]
pub(crate) enum Deleted {
    Done,
    /// It is another user's, and the caller is no admin of the group.
    NotAllowed,
}

/// Deletes a user's own file, or, for an admin of a group, anyone's. Returns `None` if there is no such
/// file that the user may see.
pub(crate) async fn delete(db: &Db, file: FileId, user: UserId) -> Result<Option<Deleted>> {
    db.transaction(async |c| {
        let row = sqlx::query!(
            r#"select file_key as "key!: FileKey", user_id = $2 or is_admin as "may_delete!" from visible_files
            where file_id = $1 and reader_id = $2 and (user_id = $2 or digest is not null)
            order by user_id <> $2, file_key limit 1"#,
            file as _,
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(row) = row else {
            return Ok(End::Rollback(None));
        };
        if !row.may_delete {
            return Ok(End::Rollback(Some(Deleted::NotAllowed)));
        }
        sqlx::query!(
            "with gone as (
                delete from files where file_key = $1 returning file_key, user_id, size
            )
            insert into gone_files (file_key, user_id, size) select * from gone",
            row.key as _,
        )
        .execute(c)
        .await?;
        Ok(End::Commit(Some(Deleted::Done)))
    })
    .await
}

/// Deletes files that no message has: a day after their upload began, or when its uploader expected
/// the message to end. Returns their number.
pub async fn abandoned(db: &Db, now: Timestamp) -> Result<u64> {
    // Where a batch ended the next one begins: it does not look again at all files whose time has not come.
    let (mut deleted, mut after) = (0, None::<Timestamp>);
    loop {
        let begun = Instant::now();
        let batch = db
            .run(async |c| {
                sqlx::query!(
                    r#"with due as materialized (
                        -- Rows that are locked by others, as by the message that is about to have one, are
                        -- left for the next round.
                        select file_key, created_at from files
                        where message_seq is null and created_at < $1
                            and created_at >= coalesce($4::timestamptz, '-infinity')
                            and (created_at < $2 or valid_until < $1)
                        order by created_at limit $3 for update skip locked
                    ), gone as (
                        delete from files where file_key = any(array(select file_key from due))
                        returning file_key, user_id, size
                    ), queued as (
                        insert into gone_files (file_key, user_id, size) select * from gone
                    )
                    select count(*) as "count!", max(created_at) as "last: Timestamp" from due"#,
                    now as _,
                    now.plus(-UNTIED) as _,
                    BATCH,
                    after as _,
                )
                .fetch_one(c)
                .await
            })
            .await?;
        deleted += batch.count.unsigned_abs();
        if batch.count < BATCH {
            return Ok(deleted);
        }
        after = batch.last;
        rest(begun).await;
    }
}

/// Deletes the records of deleted files, with their bytes, and returns what they counted to their
/// uploaders' quotas; also bytes whose writers have ended, `unfinished` after they began. Returns the number
/// of records. May run on several nodes at once.
///
/// # Errors
/// Those of the database; and, after everything else was deleted, those of a store that is away.
pub async fn drain(db: &Db, stores: &Stores, unfinished: Duration) -> Result<u64> {
    let (mut deleted, mut after) = (0, FileKey(0));
    loop {
        let files = next(db, after).await?;
        let Some(last) = files.last() else { break };
        after = *last;
        loop {
            let begun = Instant::now();
            let rows = delete_records(db, &files).await?;
            deleted += rows;
            // Each time, so that a small file does not count until the large ones after it are gone.
            sweep::end(db, &files).await?;
            forget(db, &files).await?;
            if rows < RECORDS.unsigned_abs() {
                break;
            }
            rest(begun).await;
        }
    }
    let swept = sweep::sweep(db, stores, unfinished).await;
    // Again, for files whose bytes were outside and have just been deleted.
    after = FileKey(0);
    loop {
        let files = next(db, after).await?;
        let Some(last) = files.last() else { break };
        after = *last;
        forget(db, &files).await?;
    }
    swept?;
    Ok(deleted)
}

async fn next(db: &Db, after: FileKey) -> Result<Vec<FileKey>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select file_key as "key: FileKey" from gone_files where file_key > $1 order by file_key limit $2"#,
            after as _,
            FILES,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Deletes a batch of the records of these files. Returns the number of records.
async fn delete_records(db: &Db, files: &[FileKey]) -> Result<u64> {
    let deleted = db
        .run(async |c| {
            sqlx::query!(
                "with due as materialized (
                    -- File by file: of two nodes, one waits for the other.
                    select k.file_key, r.record from unnest($1::bigint[]) as k (file_key)
                    cross join lateral (
                        select record from file_records where file_key = k.file_key
                        order by record limit $2 for update
                    ) r
                    limit $2
                )
                delete from file_records r using due where r.file_key = due.file_key and r.record = due.record",
                files as _,
                RECORDS,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(deleted.rows_affected())
}

/// Deletes the rows of those files that have no bytes left.
async fn forget(db: &Db, files: &[FileKey]) -> Result<()> {
    db.transaction(async |c| {
        // Of several nodes, the one that deletes the row returns what the file counted. One that waited
        // for another to delete records may have found none, although there are more.
        let users = sqlx::query_scalar!(
            r#"
            with due as materialized (
                -- In the order of their keys, and then users in that of their ids, so that two nodes cannot
                -- deadlock.
                select file_key from gone_files g
                where file_key = any($1)
                    and (select true from file_records r where r.file_key = g.file_key limit 1) is null
                    and (
                        select true from file_objects o where o.file_key = g.file_key and o.state <> 'begun' limit 1
                    ) is null
                order by file_key for update
            ), gone as (
                delete from gone_files where file_key = any(array(select file_key from due))
                returning user_id, size
            ), freed as (
                select user_id, sum(file_cost(size))::bigint as bytes from gone group by user_id
            ), locked as materialized (
                select u.user_id, f.bytes from freed f join file_usage u on u.user_id = f.user_id
                order by u.user_id for update of u
            )
            update file_usage u set bytes = u.bytes - l.bytes from locked l where u.user_id = l.user_id
            returning u.user_id as "user!: UserId"
            "#,
            files as _,
        )
        .fetch_all(&mut *c)
        .await?;
        // A user without files has no row.
        sqlx::query!(
            "delete from file_usage where user_id = any($1) and bytes = 0",
            &users as _,
        )
        .execute(c)
        .await?;
        Ok(End::Commit(()))
    })
    .await
}
