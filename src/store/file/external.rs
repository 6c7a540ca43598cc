//! An external store: bytes outside the database: a directory, or a bucket of an S3 service. It holds objects, each
//! written once under a unique name; only the database knows which file they belong to.

mod dir;
mod s3;

use std::{error::Error as StdError, fmt, io, ops::Range, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::time::timeout;
use uuid::Uuid;

use self::{dir::Dir, s3::S3};
use crate::{
    settings::{FileStore, StoreOptions},
    store::error::{Cause, Error, Result},
};
use parlance_wire::id::ServerId;

/// The name of the object that says whose the store is.
// Without it, a disk that is not mounted would look like an empty store, and two servers with different ids on
// one store would take each other's objects for left over.
const OWNER: &str = "parlance-server";
/// Number of parts that objects are divided into, by the first byte of their names.
const PARTS: u16 = 256;

/// The name of an object: random, so that none is ever written twice, not by another server and not after a
/// backup was restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub(crate) struct ObjectId(Uuid);

impl ObjectId {
    /// Before all others.
    pub(super) const FIRST: Self = Self(Uuid::nil());

    pub(super) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    fn parse(name: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(name).ok()?);
        // Uuids can be written in other ways; objects are not.
        (id.to_string() == name).then_some(id)
    }

    fn part(self) -> String {
        self.to_string().chars().take(2).collect()
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The name of one of the [`PARTS`].
fn part_name(part: u16) -> String {
    format!("{part:02x}")
}

/// An open store.
#[derive(Debug)]
pub(crate) struct ExternalStore {
    kind: Kind,
    /// Maximum time of one operation.
    timeout: Duration,
}

#[derive(Debug)]
enum Kind {
    Dir(Dir),
    S3(Box<S3>),
}

/// Does the same with either kind.
macro_rules! either {
    ($self:expr, $store:ident => $work:expr) => {
        $self
            .bounded(async {
                match &$self.kind {
                    Kind::Dir($store) => $work.await,
                    Kind::S3($store) => $work.await,
                }
            })
            .await
    };
}

impl ExternalStore {
    /// Opens the store of a server. Returns `None` for PostgreSQL, which is not outside.
    ///
    /// # Errors
    /// `FilesAway`: it cannot be reached, or it is not this server's.
    pub(super) async fn open(
        place: &FileStore,
        options: &StoreOptions,
        server: ServerId,
    ) -> Result<Option<Self>> {
        let Some(store) = Self::at(place, options)? else {
            return Ok(None);
        };
        match store.owner().await? {
            Some(owner) if owner == server.to_string() => Ok(Some(store)),
            Some(owner) if owner.is_empty() => Err(away(UNFINISHED_CLAIM)),
            Some(_) => Err(away("it has the files of another server")),
            None => Err(away(NOT_THERE)),
        }
    }

    /// Opens a store, and makes it the server's if it is nobody's. Of several servers that do so at the same
    /// time, one gets it.
    ///
    /// # Errors
    /// As [`ExternalStore::open`]; and if it is a directory of another user of the system.
    pub(super) async fn claim(
        place: &FileStore,
        options: &StoreOptions,
        server: ServerId,
    ) -> Result<Option<Self>> {
        let Some(store) = Self::at(place, options)? else {
            return Ok(None);
        };
        if let Kind::Dir(dir) = &store.kind {
            store.bounded(dir.check_user()).await?;
        }
        if store.owner().await?.is_none() {
            let text = Bytes::from(server.to_string());
            either!(store, store => store.prepare(OWNER, text))?;
        }
        Self::open(place, options, server).await
    }

    fn at(place: &FileStore, options: &StoreOptions) -> Result<Option<Self>> {
        let kind = match place {
            FileStore::Postgres => return Ok(None),
            FileStore::Dir(path) => Kind::Dir(Dir::new(path.clone(), options.reserve)),
            FileStore::S3(bucket) => {
                let keys = options.s3_keys.as_ref().ok_or_else(|| {
                    away("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
                })?;
                let s3 = S3::new(bucket, keys, options.timeout).map_err(away)?;
                Kind::S3(Box::new(s3))
            }
        };
        Ok(Some(Self {
            kind,
            timeout: options.timeout,
        }))
    }

    async fn owner(&self) -> Result<Option<String>> {
        let text = either!(self, store => store.get(OWNER, None))?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).trim().to_owned()))
    }

    /// Whether it is a directory, of which several writes at once take each other's disk.
    pub(crate) fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Dir(_))
    }

    /// Bytes that files may still take; `u64::MAX` where that is not known. Returns `None` if the store has
    /// little room left.
    pub(super) async fn room(&self) -> Result<Option<u64>> {
        match &self.kind {
            Kind::Dir(dir) => self.bounded(dir.room()).await,
            Kind::S3(_) => Ok(Some(u64::MAX)),
        }
    }

    /// Returns `false` if the store has little room left, as far as that is known.
    pub(crate) async fn has_room(&self) -> Result<bool> {
        Ok(self.room().await?.is_some())
    }

    /// Writes an object. It is safe once this returns.
    ///
    /// # Errors
    /// `FilesAway`: it may have been written nevertheless, completely or in part; `FilesFull`.
    pub(super) async fn put(&self, object: ObjectId, bytes: Bytes) -> Result<()> {
        let path = path(object);
        either!(self, store => store.put(&path, bytes))
    }

    /// Reads a part of an object: fewer bytes, if it ends before. Returns `None` if it is not there, although
    /// the store is.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(crate) async fn get(&self, object: ObjectId, range: Range<u64>) -> Result<Option<Bytes>> {
        let path = path(object);
        let bytes = either!(self, store => store.get(&path, Some(range)))?;
        // A disk that is not mounted has no object either: the store is away then, and nothing is
        // lost.
        if bytes.is_none() {
            self.check_presence().await?;
        }
        Ok(bytes)
    }

    /// Whether an object is there.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(super) async fn has(&self, object: ObjectId) -> Result<bool> {
        let path = path(object);
        either!(self, store => store.has(&path))
    }

    /// Deletes an object, if it is there.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(super) async fn delete(&self, object: ObjectId) -> Result<()> {
        let path = path(object);
        // The same if there is nothing to delete: on a disk that is not mounted, the object still
        // exists.
        if either!(self, store => store.delete(&path))? {
            return Ok(());
        }
        self.check_presence().await
    }

    /// The objects in the store, in batches. Anything else in it is not the server's.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(super) fn list(&self) -> impl Stream<Item = Result<Vec<ObjectId>>> {
        let names = match &self.kind {
            Kind::Dir(dir) => stream::iter(0..PARTS)
                .then(move |part| async move { self.bounded(dir.list(&part_name(part))).await })
                .boxed(),
            // As many requests as it takes, each of which has a time limit of its own.
            Kind::S3(s3) => s3.list().map_err(away).boxed(),
        };
        names.map_ok(|names| {
            let ids = names.iter().filter_map(|name| ObjectId::parse(name));
            ids.collect()
        })
    }

    /// # Errors
    /// `FilesAway`: the store is not there at all.
    pub(super) async fn check_presence(&self) -> Result<()> {
        match self.owner().await? {
            Some(_) => Ok(()),
            None => Err(away(NOT_THERE)),
        }
    }

    async fn bounded<T>(
        &self,
        work: impl Future<Output = std::result::Result<T, Cause>>,
    ) -> Result<T> {
        match timeout(self.timeout, work).await {
            Err(elapsed) => Err(away(elapsed)),
            Ok(Ok(done)) => Ok(done),
            Ok(Err(source)) if is_full(&*source) => Err(Error::FilesFull { source }),
            Ok(Err(source)) => Err(away(source)),
        }
    }
}

/// Where an object lies in its store.
fn path(object: ObjectId) -> String {
    format!("{}/{object}", object.part())
}

/// Why a store is away that can be reached.
const NOT_THERE: &str = "there is no store of this server; is it mounted?";
/// The same, after a power cut at the wrong moment.
const UNFINISHED_CLAIM: &str =
    "its object parlance-server, which says whose it is, is empty; remove that if the store is new";

fn away(source: impl Into<Cause>) -> Error {
    Error::FilesAway {
        source: source.into(),
    }
}

fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let kind = error.downcast_ref().map(io::Error::kind);
    kind.is_some_and(|kind| {
        [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&kind)
    })
}
