//! Moves all files to another store, while servers run: new records go there at once, and the others are
//! copied piece by piece. Each piece changes its place in one commit, after its bytes are safe in the new
//! one, and readers look once more if they come between. So this can be interrupted, and begun again.

use std::time::Duration;

use bytes::Bytes;
use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{
    FileKey,
    outside::ObjectId,
    pieces::{Content, Piece, of_file},
    record::{Writing, begin, finish},
    stores::{StoreId, Stores, set_head},
    sweep,
};
use crate::{
    settings::FileStore,
    store::{
        Db,
        audit::{self, Actor, Change},
        db::End,
        error::Result,
    },
};
use parlance_wire::time::Timestamp;

/// A number for the lock that only one move holds.
const LOCK: i64 = 0x6669_6c65_7320_6d76;
/// How long to wait for uploads that began before the move.
const WAIT: Duration = Duration::from_millis(500);

/// What was done.
#[derive(Debug, Default)]
pub struct Moved {
    /// Records.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pieces that were left where they are, because their bytes are missing or damaged; with an example.
    pub unreadable: Option<(u64, String)>,
}

/// Moves all files to this place. Returns `None` if somebody else is moving files.
///
/// # Errors
/// Those of the stores and of the database. What was moved until then stays where it is now.
pub async fn relocate(
    db: &Db,
    stores: &Stores,
    to: &FileStore,
    by: &Actor,
    now: Timestamp,
    unfinished: Duration,
) -> Result<Option<Moved>> {
    // Held by a connection of its own: it ends with this process.
    let mut lock = db.options().connect().await?;
    let is_alone = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "is_alone!""#, LOCK)
        .fetch_one(&mut lock)
        .await?;
    if !is_alone {
        return Ok(None);
    }
    let target = stores.claim(db, to).await?;
    db.transaction(async |c| {
        set_head(c, target).await?;
        let details = [("to", to.to_string())];
        audit::append(c, by, Change::FilesMove, "", details, now).await?;
        Ok(End::Commit(()))
    })
    .await?;
    let mut moved = Moved::default();
    // Uploads whose bytes are being written to the old place end there, and are moved then.
    loop {
        let is_last = !are_begun(db, target).await?;
        moved.unreadable = None;
        move_all(db, stores, target, &mut moved).await?;
        if is_last {
            break;
        }
        sweep::sweep(db, stores, unfinished).await?;
        tokio::time::sleep(WAIT).await;
    }
    sweep::sweep(db, stores, unfinished).await?;
    lock.close().await?;
    Ok(Some(moved))
}

/// Whether bytes are being written to other stores outside.
async fn are_begun(db: &Db, target: Option<StoreId>) -> Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (
                select from file_objects where state = 'begun' and store_id is distinct from $1
            ) as "are_begun!""#,
            target as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

async fn move_all(
    db: &Db,
    stores: &Stores,
    target: Option<StoreId>,
    moved: &mut Moved,
) -> Result<()> {
    let mut after = FileKey(0);
    while let Some(file) = next(db, target, after).await? {
        after = file;
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
    }
    Ok(())
}

/// The next file with records elsewhere.
async fn next(db: &Db, target: Option<StoreId>, after: FileKey) -> Result<Option<FileKey>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select r.file_key as "key: FileKey" from file_records r
            left join file_objects o on o.object_id = r.object_id
            where r.file_key > $1 and o.store_id is distinct from $2 order by r.file_key limit 1"#,
            after as _,
            target as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
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
    writing.write(db, stores, records.concat().into()).await?;
    flip(db, piece, &To::Object(writing)).await
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
