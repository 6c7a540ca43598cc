//! Files: what is known of them, who may see them, and their ends. Their bytes are in `file/record.rs`.

mod delete;
mod examine;
mod external;
mod pieces;
mod record;
mod relocate;
mod stores;
mod sweep;

pub(crate) use self::{
    delete::{Deleted, delete},
    record::{Located, NewRecords, Put, Writing, locate, put},
};
pub use self::{
    delete::{abandoned, drain},
    examine::{Examined, Fault, Finding, LeftOver, examine},
    relocate::{Move, Moved, Progress, relocate},
    stores::{Stores, adopt, begin, disown, disowned, present},
};

use sqlx::PgConnection;

use super::{
    Db,
    db::End,
    deletion,
    error::{Result, impossible},
};
use parlance_wire::{
    id::{ConversationId, FileId, UserId},
    request::file::{FileDigest, Layout, Records},
    text::Instance,
    time::Timestamp,
};

/// The server's own number of a file, by which its records are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct FileKey(i64);

/// A file to be uploaded.
#[derive(Debug)]
pub(crate) struct NewFile<'a> {
    pub id: FileId,
    pub user: UserId,
    pub conversation: ConversationId,
    /// The conversation's instance, according to the uploader.
    pub instance: &'a Instance,
    pub layout: Layout,
    /// When its message will expire, according to the uploader.
    pub valid_until: Option<Timestamp>,
}

/// What is stored of a file.
#[derive(Debug)]
pub(crate) struct Upload {
    pub layout: Layout,
    /// The records that are stored, in their order.
    pub have: Vec<Records>,
    /// Whether it can be read, and does not change any more.
    pub is_complete: bool,
}

/// A file, as far as its uploader or a reader needs it for its records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub key: FileKey,
    pub layout: Layout,
    /// The digest of a file that is complete.
    pub digest: Option<FileDigest>,
}

/// The outcome of beginning an upload.
#[derive(Debug)]
pub(crate) enum Created {
    /// It has begun, now or before.
    Begun(Upload),
    /// The caller has another file with this id.
    Conflict,
    /// The caller's files, of this many bytes, leave no room for it.
    Exceeded(u64),
    /// The conversation's present instance is another one: this one.
    StaleInstance(Instance),
    /// The other participant has blocked the caller.
    Blocked,
    /// The two of a direct conversation are friends no longer.
    Ended,
}

/// The outcome of ending an upload.
#[derive(Debug)]
pub(crate) enum Completed {
    /// It is complete, now or before.
    Done,
    /// Only these records are there.
    Missing(Upload),
    /// Its digest is another one.
    Conflict,
}

/// Begins an upload, unless the user's files would then count more than `quota` bytes. Idempotent.
/// Returns `None` if there is no such conversation for this user.
pub(crate) async fn create(
    db: &Db,
    new: &NewFile<'_>,
    quota: u64,
    now: Timestamp,
) -> Result<Option<Created>> {
    db.transaction(async |c| {
        if !deletion::prevent(c, [new.user]).await? {
            return Ok(End::Rollback(None));
        }
        let conversation = sqlx::query!(
            r#"select c.instance as "instance: Instance", p.is_ended, exists (
                select from blocks b where b.user_id = p.peer_id and b.blocked_id = p.user_id
            ) as "is_blocked!"
            from participants p
            join conversations c using (conversation_id)
            where p.conversation_id = $1 and p.user_id = $2"#,
            new.conversation as _,
            new.user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(conversation) = conversation else {
            return Ok(End::Rollback(None));
        };
        if conversation.instance != *new.instance {
            let stale = Created::StaleInstance(conversation.instance);
            return Ok(End::Rollback(Some(stale)));
        }
        if conversation.is_blocked {
            return Ok(End::Rollback(Some(Created::Blocked)));
        }
        if conversation.is_ended {
            return Ok(End::Rollback(Some(Created::Ended)));
        }
        // Inserted before it is charged, so that a repeated request is not charged again.
        if insert(c, new, now).await? {
            if let Some(used) = charge(c, new.user, new.layout.size(), quota).await? {
                return Ok(End::Rollback(Some(Created::Exceeded(used))));
            }
            return Ok(End::Commit(Some(Created::Begun(Upload {
                layout: new.layout,
                have: vec![],
                is_complete: false,
            }))));
        }
        let same = sqlx::query!(
            r#"select file_key as "key: FileKey", digest is not null as "is_complete!" from files
            where file_id = $1 and user_id = $2 and conversation_id = $3 and instance = $4 and size = $5
                and valid_until is not distinct from $6"#,
            new.id as _,
            new.user as _,
            new.conversation as _,
            new.instance.as_str(),
            signed(new.layout.size()),
            new.valid_until as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        Ok(End::Commit(Some(match same {
            None => Created::Conflict,
            Some(file) => Created::Begun(Upload {
                layout: new.layout,
                have: have(c, file.key).await?,
                is_complete: file.is_complete,
            }),
        })))
    })
    .await
}

/// Returns `false` if the user has a file with this id.
async fn insert(c: &mut PgConnection, new: &NewFile<'_>, now: Timestamp) -> Result<bool> {
    let inserted = sqlx::query!(
        "insert into files (file_id, user_id, conversation_id, instance, size, valid_until, created_at)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict on constraint files_one_per_id do nothing",
        new.id as _,
        new.user as _,
        new.conversation as _,
        new.instance.as_str(),
        signed(new.layout.size()),
        new.valid_until as _,
        now as _,
    )
    .execute(c)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Charges a file to a user's quota. If it does not fit, returns what is used.
async fn charge(c: &mut PgConnection, user: UserId, size: u64, quota: u64) -> Result<Option<u64>> {
    // One statement, whose lock on the row makes concurrent uploads wait for each other.
    let charged = sqlx::query!(
        "insert into file_usage (user_id, bytes) select $1, file_cost($2) where file_cost($2) <= $3
        on conflict on constraint file_usage_key do update set bytes = file_usage.bytes + excluded.bytes
        where file_usage.bytes + excluded.bytes <= $3",
        user as _,
        signed(size),
        signed(quota),
    )
    .execute(&mut *c)
    .await?;
    if charged.rows_affected() > 0 {
        return Ok(None);
    }
    Ok(Some(used_in(c, user).await?))
}

/// Bytes that a user's files count in their quota.
pub(crate) async fn used(db: &Db, user: UserId) -> Result<u64> {
    db.run(async |c| used_in(c, user).await).await
}

async fn used_in(c: &mut PgConnection, user: UserId) -> Result<u64> {
    let bytes = sqlx::query_scalar!("select bytes from file_usage where user_id = $1", user as _)
        .fetch_optional(c)
        .await?;
    Ok(bytes.unwrap_or(0).unsigned_abs())
}

/// The user's own file with this id, complete or not. Returns `None` if there is none that they may
/// see.
pub(crate) async fn own(db: &Db, file: FileId, user: UserId) -> Result<Option<Found>> {
    db.run(async |c| own_in(c, file, user).await).await
}

async fn own_in(c: &mut PgConnection, file: FileId, user: UserId) -> Result<Option<Found>> {
    let row = sqlx::query!(
        r#"select file_key as "key!: FileKey", size as "size!", digest as "digest: FileDigest" from visible_files
        where file_id = $1 and user_id = $2 and reader_id = $2"#,
        file as _,
        user as _,
    )
    .fetch_optional(c)
    .await?;
    row.map(|row| found(row.key, row.size, row.digest))
        .transpose()
}

/// The complete file with this id. Returns `None` if there is none that this user may see.
// If several people chose the same id, that of the first one: who learns an id cannot put another
// file in its place.
pub(crate) async fn readable(db: &Db, file: FileId, reader: UserId) -> Result<Option<Found>> {
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"select file_key as "key!: FileKey", size as "size!", digest as "digest: FileDigest" from visible_files
                where file_id = $1 and reader_id = $2 and digest is not null
                order by file_key limit 1"#,
                file as _,
                reader as _,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    row.map(|row| found(row.key, row.size, row.digest))
        .transpose()
}

/// What is stored of a user's own file. Returns `None` if there is none that they may see.
pub(crate) async fn status(db: &Db, file: FileId, user: UserId) -> Result<Option<Upload>> {
    db.run(async |c| match own_in(c, file, user).await? {
        Some(found) => Ok(Some(upload(c, &found).await?)),
        None => Ok::<_, super::error::Error>(None),
    })
    .await
}

/// Ends an upload: the file can be read, and does not change any more. Idempotent. Returns `None` if
/// the user has no such file that they may see.
pub(crate) async fn complete(
    db: &Db,
    file: FileId,
    user: UserId,
    digest: FileDigest,
) -> Result<Option<Completed>> {
    db.transaction(async |c| {
        let Some(found) = own_in(c, file, user).await? else {
            return Ok(End::Rollback(None));
        };
        // Waits for records that are being stored.
        let locked = sqlx::query!(
            r#"select digest as "digest: FileDigest" from files where file_key = $1 for no key update"#,
            found.key as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(locked) = locked else {
            return Ok(End::Rollback(None));
        };
        if let Some(present) = locked.digest {
            let outcome = if present == digest {
                Completed::Done
            } else {
                Completed::Conflict
            };
            return Ok(End::Rollback(Some(outcome)));
        }
        let records = sqlx::query!(
            r#"select count(*) as "count!", coalesce(string_agg(hash, ''::bytea order by record), '') as "hashes!"
            from file_records where file_key = $1"#,
            found.key as _,
        )
        .fetch_one(&mut *c)
        .await?;
        if records.count != i64::from(found.layout.records()) {
            let missing = Completed::Missing(upload(c, &found).await?);
            return Ok(End::Rollback(Some(missing)));
        }
        if FileDigest::of(&records.hashes) != digest {
            return Ok(End::Rollback(Some(Completed::Conflict)));
        }
        sqlx::query!(
            "update files set digest = $2 where file_key = $1",
            found.key as _,
            digest as _,
        )
        .execute(c)
        .await?;
        Ok(End::Commit(Some(Completed::Done)))
    })
    .await
}

async fn upload(c: &mut PgConnection, found: &Found) -> Result<Upload> {
    Ok(Upload {
        layout: found.layout,
        have: have(c, found.key).await?,
        is_complete: found.digest.is_some(),
    })
}

/// The records that are stored, in ranges.
async fn have(c: &mut PgConnection, file: FileKey) -> Result<Vec<Records>> {
    let ranges = sqlx::query!(
        r#"select min(record) as "first!", max(record) as "last!"
        from (
            select record, record - row_number() over (order by record) as range from file_records where file_key = $1
        ) r
        group by range order by 1"#,
        file as _,
    )
    .fetch_all(c)
    .await?;
    Ok(ranges
        .into_iter()
        .map(|range| Records {
            first: range.first.unsigned_abs(),
            last: range.last.unsigned_abs(),
        })
        .collect())
}

fn found(key: FileKey, size: i64, digest: Option<FileDigest>) -> Result<Found> {
    let layout = Layout::of(size.unsigned_abs());
    Ok(Found {
        key,
        layout: layout.ok_or_else(|| impossible("a file without a size"))?,
        digest,
    })
}

/// A size as PostgreSQL stores it. One that does not fit is larger than any that does.
fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
