//! The stores outside the database that a node has opened, and which one takes new records.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use sqlx::PgConnection;

use super::external::ExternalStore;
use crate::{
    settings::{FileStore, StoreOptions},
    store::{
        Db,
        audit::{self, Actor, Change},
        db::End,
        error::{Error, Result, impossible},
        key_log::server_identity,
    },
};
use parlance_wire::time::Timestamp;

/// The number of a store outside the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct StoreId(i32);

/// The stores that this node has opened.
#[derive(Debug)]
pub struct Stores {
    options: StoreOptions,
    opened: Mutex<HashMap<StoreId, Arc<ExternalStore>>>,
}

impl Stores {
    /// None is open yet.
    #[must_use]
    pub fn new(options: StoreOptions) -> Self {
        Self {
            options,
            opened: Mutex::default(),
        }
    }

    /// The store of this number.
    ///
    /// # Errors
    /// `FilesAway`, and those of the database.
    pub(crate) async fn open(&self, db: &Db, id: StoreId) -> Result<Arc<ExternalStore>> {
        let opened = || self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened().get(&id) {
            return Ok(store.clone());
        }
        // Opened without the lock, which must not be held across an await. Two callers may open the
        // same store, which does no harm.
        let place = db.run(async |c| place(c, id).await).await?;
        let (server, _) = server_identity(db).await?;
        let store = ExternalStore::open(&place, &self.options, server).await?;
        let store = Arc::new(store.ok_or_else(|| impossible("an external store that is none"))?);
        opened().insert(id, store.clone());
        Ok(store)
    }

    /// The store that takes new records. Returns `None` for PostgreSQL.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub(crate) async fn current(&self, db: &Db) -> Result<Option<Arc<ExternalStore>>> {
        match db.run(async |c| head(c).await).await? {
            None => Ok(None),
            Some(id) => Ok(Some(self.open(db, id).await?)),
        }
    }

    /// Makes a place one that files can lie in, and returns its number, or `None` for PostgreSQL.
    ///
    /// # Errors
    /// As [`Stores::open`].
    pub(super) async fn claim(&self, db: &Db, place: &FileStore) -> Result<Option<StoreId>> {
        let (server, _) = server_identity(db).await?;
        let Some(store) = ExternalStore::claim(place, &self.options, server).await? else {
            return Ok(None);
        };
        // An update that changes nothing, because `do nothing` would return no row.
        let id = db
            .run(async |c| {
                sqlx::query_scalar!(
                    r#"insert into file_stores (place) values ($1)
                    on conflict on constraint file_stores_one_per_place do update set place = excluded.place
                    returning store_id as "id: StoreId""#,
                    place.to_string(),
                )
                .fetch_one(c)
                .await
            })
            .await?;
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(id, Arc::new(store));
        Ok(Some(id))
    }
}

/// Makes `FILE_STORE` the place of a database that has no files yet. Returns the place where new
/// records go.
///
/// # Errors
/// As [`Stores::open`].
pub async fn begin(db: &Db, stores: &Stores, wanted: Option<&FileStore>) -> Result<FileStore> {
    let present = present(db).await?;
    let Some(wanted) = wanted.filter(|wanted| **wanted != present) else {
        return Ok(present);
    };
    let has_files = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"select exists (select from files) or exists (select from file_records)
                    or exists (select from file_objects) as "has_files!""#
            )
            .fetch_one(c)
            .await
        })
        .await?;
    if has_files {
        return Ok(present);
    }
    let id = stores.claim(db, wanted).await?;
    db.transaction(async |c| {
        set_head(c, id).await?;
        Ok(End::Commit(()))
    })
    .await?;
    Ok(wanted.clone())
}

/// Where new records go.
///
/// # Errors
/// Those of the database.
pub async fn present(db: &Db) -> Result<FileStore> {
    db.run(async |c| match head(&mut *c).await? {
        None => Ok::<_, Error>(FileStore::Postgres),
        Some(id) => place(c, id).await,
    })
    .await
}

/// Notes of a restored database that the server that was backed up may go on using its stores: nothing is
/// deleted there until they are adopted. Returns their places.
///
/// # Errors
/// Those of the database.
pub async fn disown(db: &Db) -> Result<Vec<String>> {
    db.run(async |c| {
        sqlx::query_scalar!("update file_stores set may_delete = false returning place")
            .fetch_all(c)
            .await
    })
    .await
}

/// The places of stores in which nothing is deleted, because the database was restored.
///
/// # Errors
/// Those of the database.
pub async fn disowned(db: &Db) -> Result<Vec<String>> {
    db.run(async |c| {
        sqlx::query_scalar!("select place from file_stores where not may_delete order by store_id")
            .fetch_all(c)
            .await
    })
    .await
}

/// Makes the stores of a restored database this server's alone. Returns their places.
///
/// # Errors
/// Those of the database.
pub async fn adopt(db: &Db, by: &Actor, now: Timestamp) -> Result<Vec<String>> {
    db.transaction(async |c| {
        let places = sqlx::query_scalar!(
            "update file_stores set may_delete = true where not may_delete returning place"
        )
        .fetch_all(&mut *c)
        .await?;
        if places.is_empty() {
            return Ok(End::Rollback(places));
        }
        let details = [("places", places.join(", "))];
        audit::append(c, by, Change::FilesAdopt, "", details, now).await?;
        Ok(End::Commit(places))
    })
    .await
}

async fn head(c: &mut PgConnection) -> Result<Option<StoreId>> {
    let id = sqlx::query_scalar!(
        r#"select store_id as "id: StoreId" from file_store_head where is_head"#
    );
    Ok(id.fetch_one(c).await?)
}

/// Makes new records go there, in a transaction. Waits for those that were about to go elsewhere.
pub(super) async fn set_head(c: &mut PgConnection, id: Option<StoreId>) -> Result<()> {
    // The row alone would not do: whoever shares its lock with others passes those who wait for it, so that
    // they could wait for ever.
    sqlx::query!("lock table file_store_head in exclusive mode")
        .execute(&mut *c)
        .await?;
    let update = sqlx::query!(
        "update file_store_head set store_id = $1 where is_head",
        id as _
    );
    update.execute(c).await?;
    Ok(())
}

async fn place(c: &mut PgConnection, id: StoreId) -> Result<FileStore> {
    let place = sqlx::query_scalar!("select place from file_stores where store_id = $1", id as _)
        .fetch_one(c)
        .await?;
    FileStore::parse(&place).ok_or_else(|| impossible("a store's place that is none"))
}
