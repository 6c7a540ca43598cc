//! The bytes of files: one row for each record.

use super::{FileKey, Upload, own_in, upload};
use crate::store::{
    Db,
    db::End,
    error::{Result, impossible},
};
use parlance_wire::id::{FileId, UserId};

/// A record to be stored.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    /// Its number in the file.
    pub number: u32,
    /// The SHA-256 of its bytes.
    pub hash: [u8; 32],
    pub bytes: &'a [u8],
}

/// The outcome of storing records.
#[derive(Debug)]
pub(crate) enum Put {
    /// They are stored, now or before. What is there of the file.
    Done(Upload),
    /// One of them is stored with other bytes, or the file is complete without it. None was stored.
    Conflict,
}

/// Stores records of a user's own file, in one commit. Idempotent. Returns `None` if there is no such
/// file that the user may see.
pub(crate) async fn put(
    db: &Db,
    file: FileId,
    user: UserId,
    records: &[Record<'_>],
) -> Result<Option<Put>> {
    let numbers: Vec<i32> = records
        .iter()
        .map(|record| i32::try_from(record.number))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| impossible("a record with so high a number"))?;
    let hashes: Vec<&[u8]> = records.iter().map(|record| &record.hash[..]).collect();
    let bytes: Vec<&[u8]> = records.iter().map(|record| record.bytes).collect();
    db.transaction(async |c| {
        let Some(found) = own_in(c, file, user).await? else {
            return Ok(End::Rollback(None));
        };
        // Not deleted, and not completed, until this is committed.
        let locked = sqlx::query_scalar!(
            r#"select digest is not null as "is_complete!" from files where file_key = $1 for share"#,
            found.key as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(is_complete) = locked else {
            return Ok(End::Rollback(None));
        };
        let stored = if is_complete {
            0
        } else {
            sqlx::query!(
                "insert into file_records (file_key, record, hash, bytes)
                select $1, i.* from unnest($2::int[], $3::bytea[], $4::bytea[]) as i (record, hash, bytes)
                on conflict on constraint file_records_key do nothing",
                found.key as _,
                &numbers,
                &hashes as _,
                &bytes as _,
            )
            .execute(&mut *c)
            .await?
            .rows_affected()
        };
        // A statement of its own, which sees what another request stored meanwhile.
        if stored < records.len() as u64 {
            let is_same = sqlx::query_scalar!(
                r#"select coalesce(bool_and(r.hash is not distinct from i.hash), false) as "same!"
                from unnest($2::int[], $3::bytea[]) as i (record, hash)
                -- Looked up one by one: the plan of a join would depend on the number of rows at the
                -- time of planning.
                left join lateral (
                    select hash from file_records where file_key = $1 and record = i.record limit 1
                ) r on true"#,
                found.key as _,
                &numbers,
                &hashes as _,
            )
            .fetch_one(&mut *c)
            .await?;
            if !is_same {
                return Ok(End::Rollback(Some(Put::Conflict)));
            }
        }
        Ok(End::Commit(Some(Put::Done(upload(c, &found).await?))))
    })
    .await
}

/// The bytes of a record of a file that is complete.
///
/// # Errors
/// Also if the file was deleted meanwhile.
pub(crate) async fn read(db: &Db, file: FileKey, record: u32) -> Result<Vec<u8>> {
    let number = i32::try_from(record).map_err(|_| impossible("a record with so high a number"))?;
    let bytes = db
        .run(async |c| {
            sqlx::query_scalar!(
                "select r.bytes from file_records r where r.file_key = $1 and r.record = $2
                    and exists (select from files f where f.file_key = $1)",
                file as _,
                number,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    bytes.ok_or_else(|| crate::store::error::Error::not_begun("the file was deleted"))
}
