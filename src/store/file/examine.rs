//! Compares the stores outside the database with the database's records of them, while a server runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
};

use futures_util::TryStreamExt;

use super::{
    FileKey,
    external::{ExternalStore, ObjectId},
    pieces::{Content, Piece, of_file},
    stores::{StoreId, Stores},
};
use crate::store::{
    Db,
    error::{Error, Result},
};
use parlance_wire::id::{FileId, UserId};

/// Files that are looked up in one statement.
const AT_ONCE: usize = 1000;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A store with files cannot be reached.
    Away,
    /// The bytes of records are not in their store.
    Missing,
    /// The bytes of records are others.
    Damaged,
    /// A store has bytes of which the database does not know.
    LeftOver,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Away, Self::Missing, Self::Damaged, Self::LeftOver];

    /// Its name in reports and in JSON, like those of rules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Away => "files_away",
            Self::Missing => "files_missing",
            Self::Damaged => "files_damaged",
            Self::LeftOver => "files_left_over",
        }
    }

    /// The consequence, for operators.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Away => {
                "a store of files cannot be reached, so what is in it was not looked at; its files cannot be read"
            }
            Self::Missing => {
                "bytes of a file are not in its store: it cannot be read; restore them from a copy of the store"
            }
            Self::Damaged => {
                "bytes of a file were changed: clients refuse it; restore them from a copy of the store"
            }
            Self::LeftOver => {
                "a store has bytes of no file, as after a backup was restored; --repair deletes them, after a restore once `parlance files adopt` was run"
            }
        }
    }
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Finding {
    /// What is wrong with it.
    pub fault: Fault,
    /// How many objects, files or stores.
    pub count: u64,
    /// One of them.
    pub example: String,
}

/// The result of an examination.
#[derive(Debug, Default)]
pub struct Examined {
    found: BTreeMap<Fault, (u64, String)>,
    /// The files of which bytes are missing, with an object of each.
    missing: BTreeMap<(UserId, FileId), ObjectId>,
    /// Files whose bytes were read.
    pub files: u64,
    /// Objects that were deleted because no file has them.
    pub deleted: u64,
}

impl Examined {
    /// What is wrong.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let first = self.missing.first_key_value();
        let missing = first.map(|((user, file), object)| Finding {
            fault: Fault::Missing,
            count: self.missing.len() as u64,
            example: format!("file {file} of user {user}, in {object}"),
        });
        let others = self.found.iter().map(|(fault, (count, example))| Finding {
            fault: *fault,
            count: *count,
            example: example.clone(),
        });
        let mut findings: Vec<_> = others.chain(missing).collect();
        findings.sort_by_key(|finding| finding.fault);
        findings
    }

    /// Leaves out the missing files that are not in this database any more, which is the present one of the
    /// server of a backup: they were deleted since. Returns their number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn leave_out_deleted(&mut self, present: &Db) -> Result<u64> {
        let all: Vec<_> = self.missing.keys().copied().collect();
        let mut deleted = 0;
        for some in all.chunks(AT_ONCE) {
            let (users, files): (Vec<_>, Vec<_>) = some.iter().copied().unzip();
            let gone = present
                .run(async |c| {
                    sqlx::query!(
                        r#"select i.user_id as "user!: UserId", i.file_id as "file!: FileId"
                        from unnest($1::uuid[], $2::uuid[]) as i (user_id, file_id)
                        where not exists (
                            select from files f where f.file_id = i.file_id and f.user_id = i.user_id
                        )"#,
                        &users as _,
                        &files as _,
                    )
                    .fetch_all(c)
                    .await
                })
                .await?;
            for row in gone {
                self.missing.remove(&(row.user, row.file));
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    fn note(&mut self, fault: Fault, example: impl FnOnce() -> String) {
        let entry = self.found.entry(fault);
        entry.or_insert_with(|| (0, example())).0 += 1;
    }
}

/// What happens to bytes of no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOver {
    /// They are reported.
    Report,
    /// They are deleted, where this server may delete; elsewhere, they are reported.
    Delete,
    /// Nobody looks for them.
    Ignore,
}

/// Looks for bytes of no file in each store, and reads all files outside the database.
///
/// # Errors
/// Those of the database.
pub async fn examine(db: &Db, stores: &Stores, left_over: LeftOver) -> Result<Examined> {
    let mut examined = Examined::default();
    let places = db
        .run(async |c| {
            sqlx::query!(
                r#"select s.store_id as "id: StoreId", s.place,
                    exists (select from file_objects o where o.store_id = s.store_id)
                        or exists (select from file_store_head h where h.store_id = s.store_id) as "is_used!",
                    s.may_delete
                from file_stores s order by s.store_id"#
            )
            .fetch_all(c)
            .await
        })
        .await?;
    let mut away = BTreeSet::new();
    for place in places {
        let left_over = match left_over {
            LeftOver::Delete if !place.may_delete => LeftOver::Report,
            left_over => left_over,
        };
        let looked = async {
            let store = stores.open(db, place.id).await?;
            if left_over == LeftOver::Ignore {
                return Ok(());
            }
            look_for_left_over(db, &store, left_over, &mut examined).await
        };
        match looked.await {
            Ok(()) => {}
            // One that is not used any more may be taken away.
            Err(Error::FilesAway { .. }) if !place.is_used => {}
            Err(Error::FilesAway { source }) => {
                away.insert(place.id);
                examined.note(Fault::Away, || format!("{}: {source}", place.place));
            }
            Err(error) => return Err(error),
        }
    }
    let mut after = FileKey(0);
    while let Some(file) = next(db, after).await? {
        after = file;
        examined.files += 1;
        for piece in of_file(db, file).await? {
            let Some((store, _)) = piece.object.filter(|(store, _)| !away.contains(store)) else {
                continue;
            };
            match verify(db, stores, &piece, &mut examined).await {
                Err(Error::FilesAway { source }) => {
                    away.insert(store);
                    examined.note(Fault::Away, || source.to_string());
                }
                result => result?,
            }
        }
    }
    Ok(examined)
}

/// The next file with bytes outside the database.
async fn next(db: &Db, after: FileKey) -> Result<Option<FileKey>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select o.file_key as "key: FileKey" from file_objects o
            where o.file_key > $1 and o.state = 'stored' order by o.file_key limit 1"#,
            after as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

async fn verify(db: &Db, stores: &Stores, piece: &Piece, examined: &mut Examined) -> Result<()> {
    let Some((_, object)) = piece.object else {
        return Ok(());
    };
    let fault = match piece.read(db, stores).await? {
        Content::Whole(_) => return Ok(()),
        Content::Missing => Fault::Missing,
        Content::Damaged => Fault::Damaged,
    };
    // Not if it was deleted, or moved, meanwhile.
    if !piece.is_there(db).await? {
        return Ok(());
    }
    if fault == Fault::Missing {
        let file = (piece.user, piece.file_id);
        examined.missing.entry(file).or_insert(object);
    } else {
        examined.note(fault, || {
            format!("file {} of user {}, in {object}", piece.file_id, piece.user)
        });
    }
    Ok(())
}

async fn look_for_left_over(
    db: &Db,
    store: &ExternalStore,
    left_over: LeftOver,
    examined: &mut Examined,
) -> Result<()> {
    let mut list = pin!(store.list());
    while let Some(there) = list.try_next().await? {
        // After they were listed: the row of an object is there before its bytes.
        for object in unknown(db, &there).await? {
            // Bytes that were deleted meanwhile had a row until then.
            if !store.has(object).await? {
                continue;
            }
            if left_over == LeftOver::Delete {
                store.delete(object).await?;
                examined.deleted += 1;
            } else {
                examined.note(Fault::LeftOver, || object.to_string());
            }
        }
    }
    Ok(())
}

/// Those of these objects of which the database does not know.
async fn unknown(db: &Db, objects: &[ObjectId]) -> Result<Vec<ObjectId>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select i.id as "id!: ObjectId" from unnest($1::uuid[]) as i (id)
            -- In whichever store: two names may be of one place, as after a symbolic link.
            where not exists (select from file_objects o where o.object_id = i.id)"#,
            objects as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}
