//! Deletes the bytes of objects that nobody reads any more, and of those whose writers have ended.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;

use super::{
    FileKey,
    external::ObjectId,
    stores::{StoreId, Stores},
};
use crate::store::{
    Db,
    error::{Error, Result},
};

/// Maximum objects that are deleted at a time.
const BATCH: i64 = 64;
/// Maximum objects of which a store is asked at the same time.
const AT_ONCE: usize = 8;

/// Makes the objects of those of these files that have no records ones that are deleted; but not those that
/// are being written.
pub(super) async fn end(db: &Db, files: &[FileKey]) -> Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "with due as materialized (
                -- In one order, so that two nodes cannot deadlock.
                select object_id from file_objects o
                where file_key = any($1) and state = 'stored'
                    and (select true from file_records r where r.file_key = o.file_key limit 1) is null
                order by object_id for update
            )
            update file_objects set state = 'gone' where object_id = any(array(select object_id from due))",
            files as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}

/// Deletes the bytes of all objects that are gone, where this server may delete them, and of those that have been written for longer than
/// `unfinished`, by the database's clock: whoever wrote them has ended. Returns the number of objects.
/// May run on several nodes at once.
///
/// # Errors
/// Those of the database; and, after the others' objects were deleted, those of a store.
pub(super) async fn sweep(db: &Db, stores: &Stores, unfinished: Duration) -> Result<u64> {
    // If an object's records are being stored at this moment, either they are, or this: both change its
    // row.
    db.run(async |c| {
        sqlx::query!(
            "update file_objects set state = 'gone'
            where state = 'begun' and begun_at < now() - make_interval(secs => $1)",
            unfinished.as_secs_f64(),
        )
        .execute(c)
        .await
    })
    .await?;
    let (mut deleted, mut after) = (0, ObjectId::FIRST);
    let (mut away, mut failed) = (vec![], None);
    loop {
        let batch = gone(db, after, &away).await?;
        let Some((last, _)) = batch.last() else { break };
        after = *last;
        let mut of_stores = BTreeMap::<_, Vec<_>>::new();
        for (object, store) in batch {
            of_stores.entry(store).or_default().push(object);
        }
        for (store, objects) in of_stores {
            let (gone, error) = delete(db, stores, store, &objects).await?;
            deleted += gone as u64;
            match error {
                None => {}
                Some(Kept::Objects(error)) => failed = Some(error),
                // The objects of other stores do not wait for it; and the rest of its own would fail, too, each
                // batch after as long as a store may take to answer.
                Some(Kept::Away(error)) => {
                    away.push(store);
                    failed = Some(error);
                }
            }
        }
    }
    failed.map_or(Ok(deleted), Err)
}

/// The next objects to be deleted, except those in stores that are away.
async fn gone(db: &Db, after: ObjectId, away: &[StoreId]) -> Result<Vec<(ObjectId, StoreId)>> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"select object_id as "object: ObjectId", store_id as "store: StoreId" from file_objects o
                where state = 'gone' and object_id > $1
                    and (select s.may_delete and s.store_id <> all($3) from file_stores s where s.store_id = o.store_id)
                order by object_id limit $2"#,
                after as _,
                BATCH,
                away as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.object, row.store))
        .collect())
}

/// Why objects are still there.
enum Kept {
    /// They cannot be deleted, though others of their store can be, or could be.
    Objects(Error),
    /// Their store is away.
    Away(Error),
}

/// Deletes objects of one store. Returns how many, and why the others are still there.
async fn delete(
    db: &Db,
    stores: &Stores,
    store: StoreId,
    objects: &[ObjectId],
) -> Result<(usize, Option<Kept>)> {
    let store = match stores.open(db, store).await {
        Ok(store) => store,
        Err(error) => return Ok((0, Some(Kept::Away(error)))),
    };
    let (mut deleted, mut kept) = (vec![], None);
    for some in objects.chunks(AT_ONCE) {
        let results = join_all(some.iter().map(|object| store.delete(*object))).await;
        for (object, result) in some.iter().zip(results) {
            match result {
                Ok(()) => deleted.push(*object),
                Err(error) => kept = Some(Kept::Objects(error)),
            }
        }
        if kept.is_some()
            && let Err(error) = store.check_presence().await
        {
            kept = Some(Kept::Away(error));
            break;
        }
    }
    // After the bytes: if this is interrupted, they are deleted once more.
    db.run(async |c| {
        sqlx::query!(
            "delete from file_objects where object_id = any($1) and state = 'gone'",
            &deleted as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok((deleted.len(), kept))
}
