//! A file's bytes in pieces, as they lie: the records of an object, or up to as many of one request whose
//! bytes are in their rows.

use bytes::Bytes;

use super::{
    FileKey,
    external::ObjectId,
    record::record_bytes,
    stores::{StoreId, Stores},
};
use crate::store::{
    Db,
    error::{Result, impossible},
};
use parlance_wire::{
    e2ee::sha256,
    id::{FileId, UserId},
    request::file::{MAX_RECORDS, RECORD},
};

/// Records that lie together, in their order.
#[derive(Debug)]
pub(super) struct Piece {
    pub file: FileKey,
    pub file_id: FileId,
    pub user: UserId,
    /// Where: an object of a store, or the rows.
    pub object: Option<(StoreId, ObjectId)>,
    pub numbers: Vec<i32>,
    pub positions: Vec<i16>,
    hashes: Vec<Vec<u8>>,
}

/// The bytes of a piece, or why there are none.
#[derive(Debug)]
pub(super) enum Content {
    /// The bytes of each record.
    Whole(Vec<Bytes>),
    /// There are none.
    Missing,
    /// They are others.
    Damaged,
}

/// The pieces of a file.
pub(super) async fn of_file(db: &Db, file: FileKey) -> Result<Vec<Piece>> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"select r.record, r.hash, r.position, r.object_id as "object: ObjectId", o.store_id as "store?: StoreId",
                    f.file_id as "file_id: FileId", f.user_id as "user: UserId"
                from file_records r
                join files f using (file_key)
                left join file_objects o on o.object_id = r.object_id
                where r.file_key = $1 order by r.record"#,
                file as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    let mut pieces: Vec<Piece> = vec![];
    for row in rows {
        // A record whose object has no row is the doctor's.
        let object = row.store.zip(row.object);
        if object.is_none() && row.object.is_some() {
            continue;
        }
        // Bounded, because a piece is read into memory as a whole.
        let room = usize::try_from(MAX_RECORDS).unwrap_or(usize::MAX);
        let position = row.position.unwrap_or_default();
        match pieces.last_mut() {
            Some(last) if last.object == object && last.numbers.len() < room => {
                last.numbers.push(row.record);
                last.positions.push(position);
                last.hashes.push(row.hash);
            }
            _ => pieces.push(Piece {
                file,
                file_id: row.file_id,
                user: row.user,
                object,
                numbers: vec![row.record],
                positions: vec![position],
                hashes: vec![row.hash],
            }),
        }
    }
    Ok(pieces)
}

impl Piece {
    /// Reads the bytes, and compares them with their hashes.
    ///
    /// # Errors
    /// Those of the store and of the database.
    pub(super) async fn read(&self, db: &Db, stores: &Stores) -> Result<Content> {
        let records = match self.object {
            None => self.read_rows(db).await?,
            Some((store, object)) => {
                let store = stores.open(db, store).await?;
                let end = self.positions.iter().max().map_or(0, |last| *last + 1);
                let end = u64::from(end.unsigned_abs()) * RECORD;
                let Some(bytes) = store.get(object, 0..end).await? else {
                    return Ok(Content::Missing);
                };
                let at = |position: &i16| usize::from(position.unsigned_abs()) * record_bytes();
                let of = |begin: usize| {
                    let begin = begin.min(bytes.len());
                    bytes.slice(begin..(begin + record_bytes()).min(bytes.len()))
                };
                self.positions.iter().map(at).map(of).collect()
            }
        };
        if records.len() != self.numbers.len() {
            return Ok(Content::Missing);
        }
        let mut all = self.hashes.iter().zip(&records);
        let is_whole = all.all(|(hash, bytes)| hash[..] == sha256(&[bytes]));
        Ok(if is_whole {
            Content::Whole(records)
        } else {
            Content::Damaged
        })
    }

    async fn read_rows(&self, db: &Db) -> Result<Vec<Bytes>> {
        let rows = db
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"select bytes as "bytes!" from file_records
                    where file_key = $1 and record = any($2) and bytes is not null order by record"#,
                    self.file as _,
                    &self.numbers,
                )
                .fetch_all(c)
                .await
            })
            .await?;
        Ok(rows.into_iter().map(Bytes::from).collect())
    }

    /// Whether its records are still at this place.
    pub(super) async fn is_there(&self, db: &Db) -> Result<bool> {
        let object = self.object.map(|(_, object)| object);
        let there = db
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"select count(*) as "there!" from file_records r
                    where r.file_key = $1 and r.record = any($2) and r.object_id is not distinct from $3
                        and exists (select from files f where f.file_key = $1)"#,
                    self.file as _,
                    &self.numbers,
                    object as _,
                )
                .fetch_one(c)
                .await
            })
            .await?;
        let there = usize::try_from(there).map_err(|_| impossible("so many rows"))?;
        Ok(there == self.numbers.len())
    }
}
