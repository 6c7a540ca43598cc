//! Moves all files to another store, while servers run: new records go there at once, and the others are
//! copied piece by piece. Each piece changes its place in one commit, after its bytes are safe in the new
//! one, and readers look once more if they come between. So this can be interrupted, and begun again.

use std::time::Duration;

use bytes::Bytes;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{
    FileKey,
    delete::drain,
    external::ObjectId,
    pieces::{Content, Piece, of_file},
    record::{Writing, abandon, begin, finish},
    stores::{StoreId, Stores, set_head},
};
use crate::{
    settings::{Disk, FileStore},
    store::{
        Db,
        audit::{self, Actor, Change},
        db::End,
        error::{Error, Result},
    },
    telemetry::with_causes,
};
use parlance_wire::{request::file::RECORD, time::Timestamp};

/// A number for the lock that only one move holds.
const LOCK: i64 = 0x6669_6c65_7320_6d76;
/// How often to look whether uploads that began before the move have ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Bytes that are being written to the old place are awaited for so long; then their writers have ended, or
/// are told that it took too long.
// Longer than a write and the waits for turns around it usually take. If one is written later all the same, nobody reads it.
const UNFINISHED: Duration = Duration::from_mins(2);
/// Files per statement.
const BATCH: i64 = 100;

/// The result of a move.
#[derive(Debug, Default)]
pub struct Moved {
    /// Records that have another place now.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pieces that were left where they are, because their bytes are missing or damaged; with an example.
    pub unreadable: Option<(u64, String)>,
    /// Objects elsewhere that nobody needs any more, but that could not be deleted yet.
    pub left_over: u64,
}

/// An order to move all files.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    /// The new place of all files.
    pub to: &'a FileStore,
    /// The database's disk, if it is this machine's.
    pub disk: Option<&'a Disk>,
    /// Who moves them.
    pub by: &'a Actor,
    /// The time in the audit log.
    pub now: Timestamp,
}

/// The progress of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Files are being moved.
    Moved {
        /// Bytes that have another place now.
        bytes: u64,
        /// Bytes that lay elsewhere when it began.
        of_bytes: u64,
    },
    /// It waits for this number of uploads whose bytes are being written to the old place.
    Waiting(u64),
}

/// Moves all files to another place. `tell` is called with the progress. Returns `None` if somebody
/// else is moving files.
///
/// # Errors
/// `FilesFull`, before anything was moved, if the place has too little room; those of the stores and of the
/// database. Files that were moved until then stay at the new place.
pub async fn relocate(
    db: &Db,
    stores: &Stores,
    order: Move<'_>,
    mut tell: impl FnMut(Progress),
) -> Result<Option<Moved>> {
    // Held by a connection of its own: it ends with this process.
    let mut lock = db.options().connect().await?;
    let is_alone = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "is_alone!""#, LOCK)
        .fetch_one(&mut lock)
        .await?;
    if !is_alone {
        return Ok(None);
    }
    let moved = move_to(db, stores, order, &mut tell).await;
    // A server notices only some time later that a connection was closed.
    sqlx::query_scalar!("select pg_advisory_unlock($1)", LOCK)
        .fetch_one(&mut lock)
        .await?;
    lock.close().await?;
    moved.map(Some)
}

async fn move_to(
    db: &Db,
    stores: &Stores,
    order: Move<'_>,
    tell: &mut impl FnMut(Progress),
) -> Result<Moved> {
    let target = stores.claim(db, order.to).await?;
    let of_bytes = bytes_elsewhere(db, target).await?;
    check_room(db, stores, target, order.disk, of_bytes).await?;
    tell(Progress::Moved { bytes: 0, of_bytes });
    db.transaction(async |c| {
        set_head(c, target).await?;
        let details = [("to", order.to.to_string())];
        audit::append(c, order.by, Change::FilesMove, "", details, order.now).await?;
        Ok(End::Commit(()))
    })
    .await?;
    let mut moved = Moved::default();
    let mut moving = |moved: &Moved| {
        tell(Progress::Moved {
            bytes: moved.bytes,
            of_bytes,
        });
    };
    move_all(db, stores, target, &mut moved, &mut moving).await?;
    // Uploads whose bytes are being written to the old place end there, and are moved then.
    delete_leftovers(db, stores).await;
    loop {
        let waiting = count(db, target, "begun").await?;
        if waiting == 0 {
            break;
        }
        tell(Progress::Waiting(waiting));
        tokio::time::sleep(LOOK_EVERY).await;
        delete_leftovers(db, stores).await;
    }
    moved.unreadable = None;
    // Told of what came later, too, which was not counted at the beginning.
    let mut moving = |moved: &Moved| {
        tell(Progress::Moved {
            bytes: moved.bytes,
            of_bytes: of_bytes.max(moved.bytes),
        });
    };
    move_all(db, stores, target, &mut moved, &mut moving).await?;
    delete_leftovers(db, stores).await;
    moved.left_over = count(db, target, "gone").await?;
    Ok(moved)
}

/// The bytes of all records at other places.
async fn bytes_elsewhere(db: &Db, target: Option<StoreId>) -> Result<u64> {
    let (mut bytes, mut after) = (0, FileKey(0));
    loop {
        let batch = next(db, target, after).await?;
        let Some((last, _)) = batch.last() else {
            return Ok(bytes);
        };
        after = *last;
        bytes += batch.iter().map(|(_, bytes)| bytes).sum::<u64>();
    }
}

/// # Errors
/// `FilesFull`: this many bytes would leave the place with too little room.
async fn check_room(
    db: &Db,
    stores: &Stores,
    target: Option<StoreId>,
    disk: Option<&Disk>,
    bytes: u64,
) -> Result<()> {
    let room = match (target, disk) {
        (Some(store), _) => stores.open(db, store).await?.room().await?,
        (None, Some(disk)) => disk.room().map_err(|error| Error::FilesAway {
            source: error.into(),
        })?,
        (None, None) => return Ok(()),
    };
    let room = room.unwrap_or(0);
    if bytes <= room {
        return Ok(());
    }
    Err(Error::FilesFull {
        source: format!("{bytes} bytes are to be moved there, and it has room for {room}").into(),
    })
}

/// Deletes what nobody needs any more, that of deleted files included, so that the old place can be taken
/// away. If one cannot be reached, all files are moved nevertheless.
async fn delete_leftovers(db: &Db, stores: &Stores) {
    if let Err(error) = drain(db, stores, UNFINISHED).await {
        tracing::warn!(
            error = with_causes(&error),
            "what is left of moved and deleted files was not deleted; servers do it later"
        );
    }
}

/// The number of objects in other stores outside that are in this state.
async fn count(db: &Db, target: Option<StoreId>, state: &str) -> Result<u64> {
    let count = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"select count(*) as "count!" from file_objects where state = $2 and store_id is distinct from $1"#,
                target as _,
                state,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok(count.unsigned_abs())
}

async fn move_all(
    db: &Db,
    stores: &Stores,
    target: Option<StoreId>,
    moved: &mut Moved,
    tell: &mut impl FnMut(&Moved),
) -> Result<()> {
    let mut after = FileKey(0);
    loop {
        let batch = next(db, target, after).await?;
        let Some((last, _)) = batch.last() else {
            return Ok(());
        };
        after = *last;
        for (file, _) in batch.iter().filter(|(_, bytes)| *bytes > 0) {
            move_file(db, stores, target, *file, moved).await?;
            tell(moved);
        }
    }
}

/// The next files, and the bytes of their records at other places.
async fn next(db: &Db, target: Option<StoreId>, after: FileKey) -> Result<Vec<(FileKey, u64)>> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"select f.file_key as "key: FileKey", coalesce((
                    select sum(least(f.size - r.record * $4::bigint, $4))
                    from file_records r
                    left join file_objects o on o.object_id = r.object_id
                    where r.file_key = f.file_key and o.store_id is distinct from $2
                ), 0)::bigint as "bytes!"
                from files f where f.file_key > $1 order by f.file_key limit $3"#,
                after as _,
                target as _,
                BATCH,
                RECORD.cast_signed(),
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.key, row.bytes.unsigned_abs()))
        .collect())
}

async fn move_file(
    db: &Db,
    stores: &Stores,
    target: Option<StoreId>,
    file: FileKey,
    moved: &mut Moved,
) -> Result<()> {
    for piece in of_file(db, file).await? {
        if piece.object.map(|(store, _)| store) == target {
            continue;
        }
        match piece.read(db, stores).await? {
            Content::Whole(records) => {
                let bytes: u64 = records.iter().map(|bytes| bytes.len() as u64).sum();
                if move_piece(db, stores, target, &piece, records).await? {
                    moved.records += piece.numbers.len() as u64;
                    moved.bytes += bytes;
                }
            }
            Content::Missing | Content::Damaged => {
                // Not if it was deleted meanwhile.
                if piece.is_there(db).await? {
                    let example = || format!("file {} of user {}", piece.file_id, piece.user);
                    moved.unreadable.get_or_insert_with(|| (0, example())).0 += 1;
                }
            }
        }
    }
    Ok(())
}

/// Copies a piece. Returns `false` if it was deleted meanwhile.
async fn move_piece(
    db: &Db,
    stores: &Stores,
    target: Option<StoreId>,
    piece: &Piece,
    records: Vec<Bytes>,
) -> Result<bool> {
    let Some(store) = target else {
        return flip(db, piece, &To::Rows(records)).await;
    };
    let writing = db.run(async |c| begin(c, piece.file, store).await).await?;
    let store = writing.open(db, stores).await?;
    writing.write(&store, records.concat().into()).await?;
    let is_moved = flip(db, piece, &To::Object(writing)).await?;
    // The object is complete, but its piece was deleted meanwhile.
    if !is_moved {
        abandon(db, writing.object).await?;
    }
    Ok(is_moved)
}

/// The new place of a piece.
enum To {
    /// The rows of its records, with these bytes.
    Rows(Vec<Bytes>),
    /// An object, which has been written.
    Object(Writing),
}

/// Changes the place of a piece. Returns `false` if it was deleted meanwhile.
async fn flip(db: &Db, piece: &Piece, to: &To) -> Result<bool> {
    let old = piece.object.map(|(_, object)| object);
    db.transaction(async |c| {
        // Not deleted until this is committed: the records of deleted files are others' to delete.
        let file = sqlx::query!(
            "select from files where file_key = $1 for key share",
            piece.file as _,
        );
        if file.fetch_optional(&mut *c).await?.is_none() {
            return Ok(End::Rollback(false));
        }
        let changed = match to {
            To::Rows(records) => into_rows(c, piece, old, records).await?,
            To::Object(writing) => {
                finish(c, writing.object).await?;
                into_object(c, piece, old, writing.object).await?
            }
        };
        if changed != piece.numbers.len() as u64 {
            return Ok(End::Rollback(false));
        }
        if let Some(old) = old {
            // Unless it has another piece's records, too.
            sqlx::query!(
                "update file_objects set state = 'gone' where object_id = $1
                    and not exists (select from file_records where file_key = $2 and object_id = $1)",
                old as _,
                piece.file as _,
            )
            .execute(c)
            .await?;
        }
        Ok(End::Commit(true))
    })
    .await
}

async fn into_rows(
    c: &mut PgConnection,
    piece: &Piece,
    old: Option<ObjectId>,
    records: &[Bytes],
) -> Result<u64> {
    let bytes: Vec<&[u8]> = records.iter().map(|bytes| &bytes[..]).collect();
    let changed = sqlx::query!(
        "update file_records r set bytes = i.bytes, object_id = null, position = null
        from unnest($2::int[], $3::bytea[]) as i (record, bytes)
        where r.file_key = $1 and r.record = i.record and r.object_id is not distinct from $4",
        piece.file as _,
        &piece.numbers,
        &bytes as _,
        old as _,
    )
    .execute(c)
    .await?;
    Ok(changed.rows_affected())
}

async fn into_object(
    c: &mut PgConnection,
    piece: &Piece,
    old: Option<ObjectId>,
    object: ObjectId,
) -> Result<u64> {
    let changed = sqlx::query!(
        "update file_records r set bytes = null, object_id = $3, position = i.position - 1
        from unnest($2::int[]) with ordinality as i (record, position)
        where r.file_key = $1 and r.record = i.record and r.object_id is not distinct from $4",
        piece.file as _,
        &piece.numbers,
        object as _,
        old as _,
    )
    .execute(c)
    .await?;
    Ok(changed.rows_affected())
}
