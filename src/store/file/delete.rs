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
    let mut deleted = 0;
    loop {
        let begun = Instant::now();
        let rows = db
            .run(async |c| {
                sqlx::query!(
                    "with due as materialized (
                        -- Rows that are locked by others, as by the message that is about to have one, are
                        -- left for the next round.
                        select file_key from files
                        where message_seq is null and created_at < $1
                            and (created_at < $2 or valid_until < $1)
                        order by created_at limit $3 for update skip locked
                    ), gone as (
                        delete from files where file_key = any(array(select file_key from due))
                        returning file_key, user_id, size
                    )
                    insert into gone_files (file_key, user_id, size) select * from gone",
                    now as _,
                    now.plus(-UNTIED) as _,
                    BATCH,
                )
                .execute(c)
                .await
            })
            .await?
            .rows_affected();
        deleted += rows;
        if rows < BATCH.unsigned_abs() {
            return Ok(deleted);
        }
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
    while let Some(file) = next(db, after).await? {
        loop {
            let begun = Instant::now();
            let rows = delete_records(db, file).await?;
            deleted += rows;
            if rows < RECORDS.unsigned_abs() {
                break;
            }
            rest(begun).await;
        }
        sweep::end(db, file).await?;
        forget(db, file).await?;
        after = file;
    }
    let swept = sweep::sweep(db, stores, unfinished).await;
    // Those whose bytes were outside.
    after = FileKey(0);
    while let Some(file) = next(db, after).await? {
        forget(db, file).await?;
        after = file;
    }
    swept?;
    Ok(deleted)
}

async fn next(db: &Db, after: FileKey) -> Result<Option<FileKey>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select file_key as "key: FileKey" from gone_files where file_key > $1 order by file_key limit 1"#,
            after as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

async fn delete_records(db: &Db, file: FileKey) -> Result<u64> {
    let deleted = db
        .run(async |c| {
            sqlx::query!(
                "delete from file_records r using (
                    select record from file_records where file_key = $1 order by record limit $2 for update
                ) due where r.file_key = $1 and r.record = due.record",
                file as _,
                RECORDS,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(deleted.rows_affected())
}

/// Ends a file of which no bytes are left.
async fn forget(db: &Db, file: FileKey) -> Result<()> {
    db.run(async |c| {
        // Of several nodes, the one that deletes the row returns what the file counted. One that waited
        // for another to delete records may have found none, although there are more.
        sqlx::query!(
            "with gone as (
                delete from gone_files
                where file_key = $1 and (select true from file_records r where r.file_key = $1 limit 1) is null
                    and (
                        select true from file_objects o where o.file_key = $1 and o.state <> 'begun' limit 1
                    ) is null
                returning user_id, size
            )
            update file_usage u set bytes = u.bytes - file_cost(g.size) from gone g where u.user_id = g.user_id",
            file as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}
