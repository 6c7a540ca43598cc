//! A store of bytes outside the database: a directory, or a bucket of an S3 service. It holds objects, each
//! written once under a name of its own; what they are is in the database alone.

mod dir;
mod s3;

use std::{error::Error as StdError, fmt, io, ops::Range, time::Duration};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use tokio::time::timeout;
use uuid::Uuid;

use self::{dir::Dir, s3::S3};
use crate::{
    settings::{FileStore, S3Keys},
    store::error::{Cause, Error, Result},
};
use parlance_wire::id::ServerId;

/// Maximum time of one operation. By [`super::sweep`]'s time for an unfinished object, its writer has given
/// up long ago.
const TIMEOUT: Duration = Duration::from_secs(30);
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
pub(crate) enum Outside {
    Dir(Dir),
    S3(Box<S3>),
}

/// Does the same with either kind.
macro_rules! either {
    ($self:expr, $store:ident => $work:expr) => {
        match $self {
            Outside::Dir($store) => $work,
            Outside::S3($store) => $work,
        }
    };
}

impl Outside {
    /// Opens the store of a server. Returns `None` for PostgreSQL, which is none.
    ///
    /// # Errors
    /// `FilesAway`: it cannot be reached, or it is not this server's.
    pub(super) async fn open(
        place: &FileStore,
        keys: Option<&S3Keys>,
        server: ServerId,
    ) -> Result<Option<Self>> {
        let Some(store) = Self::at(place, keys)? else {
            return Ok(None);
        };
        match store.owner().await? {
            Some(owner) if owner == server.to_string() => Ok(Some(store)),
            Some(_) => Err(away("it has the files of another server")),
            None => Err(away(NOT_THERE)),
        }
    }

    /// Opens a store, and makes it the server's if it is nobody's.
    ///
    /// # Errors
    /// As [`Outside::open`].
    pub(super) async fn claim(
        place: &FileStore,
        keys: Option<&S3Keys>,
        server: ServerId,
    ) -> Result<Option<Self>> {
        let Some(store) = Self::at(place, keys)? else {
            return Ok(None);
        };
        if store.owner().await?.is_none() {
            let text = Bytes::from(server.to_string());
            bounded(async { either!(store, store => store.prepare(OWNER, text).await) }).await?;
        }
        Self::open(place, keys, server).await
    }

    fn at(place: &FileStore, keys: Option<&S3Keys>) -> Result<Option<Self>> {
        Ok(match place {
            FileStore::Postgres => None,
            FileStore::Dir(path) => Some(Self::Dir(Dir::new(path.clone()))),
            FileStore::S3(bucket) => {
                let keys = keys.ok_or_else(|| {
                    away("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set")
                })?;
                Some(Self::S3(Box::new(S3::new(bucket, keys).map_err(away)?)))
            }
        })
    }

    async fn owner(&self) -> Result<Option<String>> {
        let text = bounded(async { either!(self, store => store.get(OWNER, None).await) }).await?;
        let text = text.map(|text| String::from_utf8_lossy(&text).trim().to_owned());
        // An empty one is of a claim that was interrupted.
        Ok(text.filter(|text| !text.is_empty()))
    }

    /// Returns `false` if the store has little room left, as far as that is known.
    pub(crate) async fn has_room(&self) -> Result<bool> {
        match self {
            Self::Dir(dir) => bounded(dir.has_room()).await,
            Self::S3(_) => Ok(true),
        }
    }

    /// Writes an object. It is safe once this returns.
    ///
    /// # Errors
    /// `FilesAway`: it may have been written all the same, whole or in part; `FilesFull`.
    pub(super) async fn put(&self, object: ObjectId, bytes: Bytes) -> Result<()> {
        let path = path(object);
        bounded(async { either!(self, store => store.put(&path, bytes).await) }).await
    }

    /// Reads a part of an object: fewer bytes, if it ends before. Returns `None` if it is not there, although
    /// the store is.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(crate) async fn get(&self, object: ObjectId, range: Range<u64>) -> Result<Option<Bytes>> {
        let path = path(object);
        let bytes = bounded(async { either!(self, store => store.get(&path, Some(range)).await) });
        let bytes = bytes.await?;
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
        bounded(async { either!(self, store => store.has(&path).await) }).await
    }

    /// Deletes an object, if it is there.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(super) async fn delete(&self, object: ObjectId) -> Result<()> {
        let path = path(object);
        let was_there = bounded(async { either!(self, store => store.delete(&path).await) });
        if was_there.await? {
            return Ok(());
        }
        self.check_presence().await
    }

    /// The objects that lie there, some at a time. Whatever else lies there is not the server's.
    ///
    /// # Errors
    /// `FilesAway`.
    pub(super) fn list(&self) -> impl Stream<Item = Result<Vec<ObjectId>>> {
        let names = match self {
            Self::Dir(dir) => stream::iter(0..PARTS)
                .then(move |part| async move { bounded(dir.list(&part_name(part))).await })
                .boxed(),
            // As many requests as it takes, each of which has a time limit of its own.
            Self::S3(s3) => s3.list().map_err(away).boxed(),
        };
        names.map_ok(|names| {
            let ids = names.iter().filter_map(|name| ObjectId::parse(name));
            ids.collect()
        })
    }

    /// # Errors
    /// `FilesAway`: the store is not there at all.
    async fn check_presence(&self) -> Result<()> {
        match self.owner().await? {
            Some(_) => Ok(()),
            None => Err(away(NOT_THERE)),
        }
    }
}

/// Where an object lies in its store.
fn path(object: ObjectId) -> String {
    format!("{}/{object}", object.part())
}

/// Why a store is away that can be reached.
const NOT_THERE: &str = "there is no store of this server; is it mounted?";

fn away(source: impl Into<Cause>) -> Error {
    Error::FilesAway {
        source: source.into(),
    }
}

async fn bounded<T>(work: impl Future<Output = std::result::Result<T, Cause>>) -> Result<T> {
    match timeout(TIMEOUT, work).await {
        Err(elapsed) => Err(away(elapsed)),
        Ok(Ok(done)) => Ok(done),
        Ok(Err(source)) if is_full(&*source) => Err(Error::FilesFull { source }),
        Ok(Err(source)) => Err(away(source)),
    }
}

fn is_full(error: &(dyn StdError + 'static)) -> bool {
    let kind = error.downcast_ref().map(io::Error::kind);
    kind.is_some_and(|kind| {
        [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded].contains(&kind)
    })
}
