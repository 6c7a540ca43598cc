//! The bytes of files: in a row for each record, or outside the database. Outside, those of one request are
//! one object. Its row is committed before the bytes are written, and its records are stored after that, in
//! one commit: so whatever is interrupted, no record is without its bytes, and `file/sweep.rs` finds bytes
//! without records.

use std::{ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use sqlx::PgConnection;

use super::{
    FileKey, Found, Upload,
    external::{ExternalStore, ObjectId},
    have, own_in,
    stores::{StoreId, Stores},
};
use crate::store::{
    Db,
    db::End,
    error::{Error, Result, impossible},
};
use parlance_wire::{
    e2ee::sha256,
    id::{FileId, UserId},
    request::file::RECORD,
};

/// Records to be stored, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct NewRecords {
    numbers: Vec<i32>,
    hashes: Vec<[u8; 32]>,
    bytes: Bytes,
}

impl NewRecords {
    /// The records in a body, which begins with the record of this number.
    ///
    /// # Errors
    /// The number is too high.
    pub(crate) fn new(first: u32, bytes: Bytes) -> Result<Self> {
        let records = bytes.chunks(record_bytes());
        let hashes: Vec<[u8; 32]> = records.map(|record| sha256(&[record])).collect();
        let numbers = (first..).take(hashes.len()).map(i32::try_from);
        let numbers = numbers.collect::<std::result::Result<_, _>>();
        Ok(Self {
            numbers: numbers.map_err(|_| impossible("a record with so high a number"))?,
            hashes,
            bytes,
        })
    }

    fn hashes(&self) -> Vec<&[u8]> {
        self.hashes.iter().map(|hash| &hash[..]).collect()
    }

    /// Their bytes, one after the other.
    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Those that have other numbers than these.
    fn without(&self, numbers: &[i32]) -> Self {
        if numbers.is_empty() {
            // The usual case, without a copy of the bytes.
            return self.clone();
        }
        let records = self.bytes.chunks(record_bytes());
        let all = self.numbers.iter().zip(&self.hashes).zip(records);
        let others = all.filter(|((number, _), _)| !numbers.contains(number));
        let (mut rest, mut bytes) = (Self::default(), BytesMut::new());
        for ((number, hash), record) in others {
            rest.numbers.push(*number);
            rest.hashes.push(*hash);
            bytes.extend_from_slice(record);
        }
        Self {
            bytes: bytes.freeze(),
            ..rest
        }
    }
}

/// The outcome of storing records.
#[derive(Debug)]
pub(crate) enum Put {
    /// They are stored, now or before. Contains what is stored of the file.
    Done(Upload),
    /// One of them is stored with other bytes, or the file is complete without it. None was stored.
    Conflict,
    /// The bytes of these, which are not there yet, have to be written outside first.
    External(Writing, NewRecords),
}

/// An object that is about to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writing {
    pub(super) object: ObjectId,
    pub(super) store: StoreId,
}

impl Writing {
    /// The store that it lies in.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub(crate) async fn open(self, db: &Db, stores: &Stores) -> Result<Arc<ExternalStore>> {
        stores.open(db, self.store).await
    }

    /// Writes the bytes of records into its store.
    ///
    /// # Errors
    /// Those of the store. The object is then deleted in the background.
    pub(crate) async fn write(self, store: &ExternalStore, bytes: Bytes) -> Result<()> {
        if !store.has_room().await? {
            return Err(Error::FilesFull {
                source: "its disk has little room left".into(),
            });
        }
        store.put(self.object, bytes).await
    }
}

/// Stores records of this file of a user's own, in one commit: of the one that was found under its id, not
/// of a later one. Idempotent. `written`: the object that has their bytes, if an earlier call asked for it.
/// Returns `None` if the user may not see the file any more.
pub(crate) async fn put(
    db: &Db,
    (id, file): (FileId, &Found),
    user: UserId,
    records: &NewRecords,
    written: Option<Writing>,
) -> Result<Option<Put>> {
    let (stored, put) = db
        .transaction(async |c| {
            let (stored, put) = store(c, (id, file), user, records, written).await?;
            let has_changed = stored > 0 || matches!(put, Some(Put::External(..)));
            Ok(if has_changed {
                End::Commit((stored, put))
            } else {
                End::Rollback((stored, put))
            })
        })
        .await?;
    // All its records were stored already, or the file is gone.
    if let Some(written) = written.filter(|_| stored == 0) {
        abandon(db, written.object).await?;
    }
    Ok(put)
}

/// Returns the number of records that were stored, and what is to be said of all of them.
async fn store(
    c: &mut PgConnection,
    (id, file): (FileId, &Found),
    user: UserId,
    records: &NewRecords,
    written: Option<Writing>,
) -> Result<(usize, Option<Put>)> {
    // Another file, with room for fewer records, may have got its id since it was found.
    let is_same = |found: Found| found.key == file.key;
    if !own_in(c, id, user).await?.is_some_and(is_same) {
        return Ok((0, None));
    }
    // Not deleted, and not completed, until this is committed; and new records go to the same place.
    let locked = sqlx::query!(
        r#"select f.digest is not null as "is_complete!", h.store_id as "store_id: StoreId"
        from files f cross join file_store_head h where f.file_key = $1 and h.is_head for share"#,
        file.key as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(locked) = locked else {
        return Ok((0, None));
    };
    let count = records.numbers.len();
    let stored = match (written, locked.store_id) {
        _ if locked.is_complete => 0,
        (Some(written), _) => insert_outside(c, file.key, records, written).await?,
        (None, None) => insert(c, file.key, records).await?,
        (None, Some(store)) => {
            let (there, is_same) = compare(c, file.key, records).await?;
            if is_same && there.len() < count {
                let writing = begin(c, file.key, store).await?;
                // Not more than what counts in the user's quota, however often records are sent.
                let missing = records.without(&there);
                return Ok((0, Some(Put::External(writing, missing))));
            }
            0
        }
    };
    // A statement of its own, which sees what another request stored meanwhile.
    if stored < count {
        let (there, is_same) = compare(c, file.key, records).await?;
        if there.len() < count || !is_same {
            return Ok((0, Some(Put::Conflict)));
        }
    }
    let upload = Upload {
        layout: file.layout,
        have: have(c, file.key).await?,
        is_complete: locked.is_complete,
    };
    Ok((stored, Some(Put::Done(upload))))
}

/// Stores records in their rows. Returns the number of those that were not there.
async fn insert(c: &mut PgConnection, file: FileKey, records: &NewRecords) -> Result<usize> {
    let bytes: Vec<&[u8]> = records.bytes.chunks(record_bytes()).collect();
    let inserted = sqlx::query!(
        "insert into file_records (file_key, record, hash, bytes)
        select $1, i.* from unnest($2::int[], $3::bytea[], $4::bytea[]) as i (record, hash, bytes)
        on conflict on constraint file_records_key do nothing",
        file as _,
        &records.numbers,
        &records.hashes() as _,
        &bytes as _,
    )
    .execute(c)
    .await?;
    count(inserted.rows_affected())
}

/// Stores records whose bytes are in an object. Returns the number of those that were not there.
async fn insert_outside(
    c: &mut PgConnection,
    file: FileKey,
    records: &NewRecords,
    written: Writing,
) -> Result<usize> {
    finish(c, written.object).await?;
    let inserted = sqlx::query!(
        "insert into file_records (file_key, record, hash, object_id, position)
        select $1, i.record, i.hash, $4, i.position - 1
        from unnest($2::int[], $3::bytea[]) with ordinality as i (record, hash, position)
        on conflict on constraint file_records_key do nothing",
        file as _,
        &records.numbers,
        &records.hashes() as _,
        written.object as _,
    )
    .execute(c)
    .await?;
    count(inserted.rows_affected())
}

fn count(rows: u64) -> Result<usize> {
    usize::try_from(rows).map_err(|_| impossible("so many rows"))
}

/// Begins an object of a file.
pub(super) async fn begin(c: &mut PgConnection, file: FileKey, store: StoreId) -> Result<Writing> {
    let object = ObjectId::random();
    sqlx::query!(
        "insert into file_objects (object_id, store_id, file_key, state) values ($1, $2, $3, 'begun')",
        object as _,
        store as _,
        file as _,
    )
    .execute(c)
    .await?;
    Ok(Writing { object, store })
}

/// Makes an object one that records name.
///
/// # Errors
/// Writing it took so long that it is being deleted.
pub(super) async fn finish(c: &mut PgConnection, object: ObjectId) -> Result<()> {
    let finished = sqlx::query!(
        "update file_objects set state = 'stored' where object_id = $1 and state = 'begun'",
        object as _,
    )
    .execute(c)
    .await?;
    if finished.rows_affected() == 0 {
        return Err(Error::FilesAway {
            source: "writing took too long".into(),
        });
    }
    Ok(())
}

/// Has an object deleted that was written, but that no record names.
// Not one that may still be written: its bytes could come after they were deleted.
pub(super) async fn abandon(db: &Db, object: ObjectId) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "update file_objects set state = 'gone' where object_id = $1 and state = 'begun'",
            object as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// The numbers of those of these records that are there, and whether they are the same.
async fn compare(
    c: &mut PgConnection,
    file: FileKey,
    records: &NewRecords,
) -> Result<(Vec<i32>, bool)> {
    let row = sqlx::query!(
        r#"select coalesce(array_agg(i.record) filter (where r.hash is not null), '{}') as "there!",
            coalesce(bool_and(r.hash = i.hash), true) as "same!"
        from unnest($2::int[], $3::bytea[]) as i (record, hash)
        -- Looked up one by one: the plan of a join would depend on the number of rows at the time of
        -- planning.
        left join lateral (
            select hash from file_records where file_key = $1 and record = i.record limit 1
        ) r on true"#,
        file as _,
        &records.numbers,
        &records.hashes() as _,
    )
    .fetch_one(c)
    .await?;
    Ok((row.there, row.same))
}

/// Where the bytes of a record are.
#[derive(Debug)]
pub(crate) enum Located {
    /// In the row of the record, as these.
    Row(Vec<u8>),
    /// In an object.
    Object(Place),
}

/// The place of a record in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub store: StoreId,
    pub object: ObjectId,
    /// The bytes of the record.
    begin: u64,
    pub length: u64,
}

impl Place {
    /// The place of a record with this position in its object, and this length in bytes.
    pub(super) fn new(store: StoreId, object: ObjectId, position: i16, length: u64) -> Self {
        Self {
            store,
            object,
            begin: u64::from(position.unsigned_abs()) * RECORD,
            length,
        }
    }

    /// The bytes of the record in its object.
    pub(crate) fn range(self) -> Range<u64> {
        self.begin..self.begin + self.length
    }
}

/// Where the bytes of a record of a complete file are, or they themselves.
///
/// # Errors
/// Also if the file was deleted meanwhile.
pub(crate) async fn locate(db: &Db, file: &Found, record: u32) -> Result<Located> {
    let number = i32::try_from(record).map_err(|_| impossible("a record with so high a number"))?;
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"select r.bytes, r.object_id as "object: ObjectId", r.position, o.store_id as "store?: StoreId"
                from file_records r
                left join file_objects o on o.object_id = r.object_id
                where r.file_key = $1 and r.record = $2 and exists (select from files f where f.file_key = $1)"#,
                file.key as _,
                number,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    let row = row.ok_or_else(|| Error::not_begun("the file was deleted"))?;
    match (row.bytes, row.object, row.position, row.store) {
        (Some(bytes), ..) => Ok(Located::Row(bytes)),
        (None, Some(object), Some(position), Some(store)) => {
            let left = file.layout.size() - u64::from(record) * RECORD;
            let place = Place::new(store, object, position, left.min(RECORD));
            Ok(Located::Object(place))
        }
        _ => Err(impossible("a record without bytes")),
    }
}

/// Bytes of a record, but of a file's last one.
pub(super) fn record_bytes() -> usize {
    usize::try_from(RECORD).unwrap_or(usize::MAX)
}
