//! Files: who may upload, read and delete them, and what a node does for them at the same time.

mod pace;

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit},
    task::spawn_blocking,
    time::timeout,
};

use self::pace::Pace;
use super::{Call, Services, error::Error, rates};
use crate::{
    settings::{Disk, Settings},
    store::{
        self, Db,
        file::{
            Completed, Created, Deleted, Found, Located, NewFile, NewRecords, Put, Stores, Upload,
            Writing,
        },
    },
};
use parlance_wire::{
    id::{ConversationId, FileId, UserId},
    request::file::{BodyHash, FileDigest, Layout, Put as Sent, RECORD},
    text::Instance,
    time::Timestamp,
};

/// Maximum database connections that records of files use at the same time.
// The others are left to messages.
const MAX_CONNECTIONS: usize = 2;
/// How long records wait for one of them.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes by which encryption makes a record longer: its tag.
const TAG: u64 = 16;

/// The operator's limits of files, and this node's turns.
#[derive(Debug)]
pub(crate) struct Files {
    max_bytes: u64,
    disk: Option<Disk>,
    /// No files are taken for this long after the database said that its disk is full.
    disk_full: Duration,
    stores: Stores,
    turns: Semaphore,
    /// The records of one request are stored in the database at a time.
    // Messages share the disk with files. Four synced writes of 1 MiB at once write half as much again as
    // one after the other, and a message's small write next to them takes three times as long (BENCHMARKS.md, Files).
    writer: Semaphore,
    /// One object is written in a directory at a time, for the same reason.
    directory_writer: Semaphore,
    pace: Pace,
    deleted: Notify,
}

impl Files {
    pub(super) fn new(settings: &Settings) -> Self {
        let connections = usize::try_from(settings.database_connections).unwrap_or(usize::MAX);
        Self {
            max_bytes: settings.max_file_bytes,
            disk: settings.file_disk.clone(),
            disk_full: settings.timings.disk_full,
            stores: Stores::new(settings.stores.clone()),
            // With few connections at most half of them, for the same reason.
            turns: Semaphore::new((connections / 2).clamp(1, MAX_CONNECTIONS)),
            writer: Semaphore::new(1),
            directory_writer: Semaphore::new(1),
            pace: Pace::new(settings.workers),
            deleted: Notify::new(),
        }
    }

    /// Waits until this many bytes may be stored or read beside messages.
    async fn give_way(&self, db: &Db, bytes: u64) {
        let messages = db.counters().messages_stored.get();
        self.pace.give_way(bytes, messages).await;
    }

    /// The stores outside the database.
    pub(crate) fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Waits for a turn to read records. It ends when it is dropped.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn turn_to_read(&self) -> Result<SemaphorePermit<'_>, Error> {
        turn(&self.turns).await
    }

    /// Waits for a turn to store records. It ends when both are dropped.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn turn_to_write(&self) -> Result<[SemaphorePermit<'_>; 2], Error> {
        // The writer's turn first: whoever waits for it must not hold a connection that downloads
        // could use.
        Ok([turn(&self.writer).await?, turn(&self.turns).await?])
    }

    /// Notes that files may have been deleted, so that their records are deleted soon.
    pub(super) fn deleted(&self) {
        self.deleted.notify_one();
    }

    /// Waits until files may have been deleted.
    pub(crate) async fn wait_for_deleted(&self) {
        self.deleted.notified().await;
    }

    /// # Errors
    /// `DiskFull`, if the database's disk has little room left; `DatabaseFull`, if that is where the server cannot
    /// look, and the database said that it has none.
    fn check_disk(&self, db: &Db) -> Result<(), Error> {
        // Each record that is tried would take what little room there is from messages.
        if db.was_disk_full_within(self.disk_full) {
            return Err(Error::DatabaseFull);
        }
        let Some(disk) = &self.disk else {
            return Ok(());
        };
        if !disk
            .has_room()
            .map_err(|error| Error::Internal(error.into()))?
        {
            return Err(Error::DiskFull);
        }
        Ok(())
    }

    /// # Errors
    /// `DiskFull`, if new records go to a store that has little room left; `FilesUnavailable`.
    async fn check_store(&self, db: &Db) -> Result<(), Error> {
        match self.stores.current(db).await? {
            Some(store) if !store.has_room().await? => Err(Error::DiskFull),
            _ => Ok(()),
        }
    }
}

/// The refusal of a file by the database. A message that meets a full disk is sent again; of a file, somebody
/// should learn.
fn refusal(error: store::error::Error) -> Error {
    if error.is_disk_full() {
        return Error::DatabaseFull;
    }
    error.into()
}

async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Error> {
    let busy = |source| Error::Unavailable {
        uncertain: false,
        source,
    };
    timeout(TURN_TIMEOUT, turns.acquire())
        .await
        .map_err(|_| busy("too many records of files are read and written".into()))?
        .map_err(|closed| busy(closed.into()))
}

/// Begins an upload. Idempotent. Returns what is stored of it.
///
/// # Errors
/// `TooLarge`, `QuotaExceeded`, `DiskFull`, `DatabaseFull`, `FilesUnavailable`, `ConversationNotFound`, `StaleInstance`,
/// `FileConflict`, `NotFriends`;
/// `NotAllowed`, if the other user has blocked the caller.
pub(crate) async fn create(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    id: FileId,
    size: u64,
    valid_until: Option<Timestamp>,
) -> Result<Upload, Error> {
    let files = &call.services.files;
    let quota = call.allowed.limits.file_quota;
    // Not `NotAllowed`: clients show that as the other user's block.
    if quota == 0 {
        return Err(Error::QuotaExceeded {
            quota,
            used: 0,
            size,
        });
    }
    if size == 0 {
        return Err(Error::BadRequest("size must be a number of bytes.".into()));
    }
    let content = |layout: Layout| size.saturating_sub(u64::from(layout.records()) * TAG);
    let layout = Layout::of(size).filter(|layout| content(*layout) <= files.max_bytes);
    let layout = layout.ok_or_else(|| {
        Error::TooLarge(format!(
            "A file may have at most {} bytes.",
            files.max_bytes
        ))
    })?;
    files.check_disk(&call.services.db)?;
    files.check_store(&call.services.db).await?;
    let new = NewFile {
        id,
        user: call.user,
        conversation,
        instance,
        layout,
        valid_until,
    };
    let created = store::file::create(&call.services.db, &new, quota, call.now).await;
    match created.map_err(refusal)? {
        None => Err(Error::ConversationNotFound),
        Some(Created::Begun(upload)) => Ok(upload),
        Some(Created::Conflict) => Err(Error::FileConflict("You have another file with this id.")),
        Some(Created::Exceeded(used)) => Err(Error::QuotaExceeded { quota, used, size }),
        Some(Created::StaleInstance(present)) => Err(Error::StaleInstance(present)),
        Some(Created::Blocked) => Err(Error::NotAllowed("This user has blocked you.")),
        Some(Created::Ended) => Err(Error::NotFriends),
    }
}

/// Checks that a caller may send these records, before they are received, and waits until they may be stored beside
/// messages. Returns their file.
///
/// # Errors
/// `FileNotFound`, `DiskFull`, `DatabaseFull`, `UsedUp`; `BadRequest`, if they are not whole records of the file.
pub(crate) async fn check_put(call: &Call<'_>, sent: &Sent) -> Result<Found, Error> {
    let found = store::file::own(&call.services.db, sent.fileid, call.user)
        .await?
        .ok_or(Error::FileNotFound)?;
    if found.layout.records_of(sent.record, sent.length).is_none() {
        return Err(Error::BadRequest(
            "record and length must be those of one to four whole records of the file.".into(),
        ));
    }
    let Services { db, files, .. } = call.services;
    files.check_disk(db)?;
    // Counted last: a request that is refused above uses up nothing.
    rates::count_file_bytes(call, sent.length)?;
    // Not once they are received: they would wait in memory, and all that is to be done for the next ones of
    // their sender would be done at the same time.
    files.give_way(db, sent.length).await;
    Ok(found)
}

/// Stores the records of a body, which were checked to be of this file. Idempotent. Returns what is there
/// of it.
///
/// # Errors
/// `BadRequest`, if the body has another hash; `FileNotFound`, also if it was deleted meanwhile; `FileConflict`, `Unavailable`, `FilesUnavailable`, `DiskFull`, `DatabaseFull`.
pub(crate) async fn put(
    call: &Call<'_>,
    sent: &Sent,
    found: &Found,
    body: Bytes,
) -> Result<Upload, Error> {
    let (records, file) = (&verify(sent, body).await?, (sent.fileid, found));
    let mut stored = store_records(call, file, records, None).await?;
    if let Some(Put::External(writing, missing)) = stored {
        let Services { db, files, .. } = call.services;
        let store = writing.open(db, &files.stores).await?;
        // No connection is held meanwhile. The store's timeout begins after the turn, so that waiting for others'
        // writes does not count as a store that is away.
        let turn_to_write = if store.is_directory() {
            Some(turn(&files.directory_writer).await?)
        } else {
            None
        };
        writing.write(&store, missing.bytes()).await?;
        drop(turn_to_write);
        stored = store_records(call, file, &missing, Some(writing)).await?;
    }
    match stored {
        None => Err(Error::FileNotFound),
        Some(Put::Done(upload)) => Ok(upload),
        Some(Put::Conflict) => Err(Error::FileConflict(
            "One of these records is already stored with other bytes.",
        )),
        Some(Put::External(..)) => Err(Error::Internal("bytes are to be written twice".into())),
    }
}

/// The records of a body.
///
/// # Errors
/// `BadRequest`, if it has another hash.
async fn verify(sent: &Sent, body: Bytes) -> Result<NewRecords, Error> {
    let (sha256, first) = (sent.sha256, sent.record);
    // Hashing takes a millisecond or two, for which other requests of this thread would wait.
    let verified = spawn_blocking(move || {
        if BodyHash::of(&body) != sha256 {
            return Err(Error::BadRequest("sha256 is not that of the body.".into()));
        }
        Ok(NewRecords::new(first, body)?)
    });
    verified
        .await
        .map_err(|error| Error::Internal(error.into()))?
}

async fn store_records(
    call: &Call<'_>,
    file: (FileId, &Found),
    records: &NewRecords,
    written: Option<Writing>,
) -> Result<Option<Put>, Error> {
    let Services { db, files, .. } = call.services;
    let _turn = files.turn_to_write().await?;
    let put = store::file::put(db, file, call.user, records, written).await;
    put.map_err(refusal)
}

/// The bytes of a record of a complete file.
///
/// # Errors
/// `Unavailable`, also if the file was deleted; `FilesUnavailable`; `Internal`, if they are missing.
pub(crate) async fn read(services: &Services, file: &Found, record: u32) -> Result<Bytes, Error> {
    let Services { db, files, .. } = services;
    files.give_way(db, RECORD).await;
    let mut failed = None;
    loop {
        let located = {
            let _turn = files.turn_to_read().await?;
            store::file::locate(db, file, record).await?
        };
        let place = match located {
            Located::Row(bytes) => return Ok(bytes.into()),
            Located::Object(place) => place,
        };
        // If it is elsewhere now, it was moved after it was looked up.
        if let Some((before, error)) = failed
            && before == place
        {
            return Err(error);
        }
        let got = async {
            let store = files.stores.open(db, place.store).await?;
            store.get(place.object, place.range()).await
        };
        let error = match got.await {
            Ok(Some(bytes)) if bytes.len() as u64 == place.length => return Ok(bytes),
            Ok(_) => Error::Internal("bytes of a file are missing".into()),
            Err(error) => error.into(),
        };
        failed = Some((place, error));
    }
}

/// What is stored of a caller's own file.
///
/// # Errors
/// `FileNotFound`.
pub(crate) async fn status(call: &Call<'_>, file: FileId) -> Result<Upload, Error> {
    store::file::status(&call.services.db, file, call.user)
        .await?
        .ok_or(Error::FileNotFound)
}

/// Ends an upload. Idempotent.
///
/// # Errors
/// `FileNotFound`, `FileIncomplete`; `FileConflict`, if the digest is not that of its records.
pub(crate) async fn complete(
    call: &Call<'_>,
    file: FileId,
    digest: FileDigest,
) -> Result<(), Error> {
    match store::file::complete(&call.services.db, file, call.user, digest).await? {
        None => Err(Error::FileNotFound),
        Some(Completed::Done) => Ok(()),
        Some(Completed::Missing(upload)) => Err(Error::FileIncomplete(upload.have)),
        Some(Completed::Conflict) => Err(Error::FileConflict(
            "The digest is not that of the file's records.",
        )),
    }
}

/// Deletes a caller's own file, or, for an admin of a group, anyone's.
///
/// # Errors
/// `FileNotFound`; `NotAllowed`.
pub(crate) async fn delete(call: &Call<'_>, file: FileId) -> Result<(), Error> {
    match store::file::delete(&call.services.db, file, call.user).await? {
        None => Err(Error::FileNotFound),
        Some(Deleted::NotAllowed) => Err(Error::NotAllowed(
            "Only an admin of a group may delete the files of others.",
        )),
        Some(Deleted::Done) => {
            call.services.files.deleted();
            Ok(())
        }
    }
}

/// Bytes that a user's files count in their quota.
pub(crate) async fn used(services: &Services, user: UserId) -> Result<u64, Error> {
    Ok(store::file::used(&services.db, user).await?)
}

/// A complete file that a user may read.
///
/// # Errors
/// `FileNotFound`.
pub(crate) async fn readable(
    services: &Services,
    reader: UserId,
    file: FileId,
) -> Result<Found, Error> {
    store::file::readable(&services.db, file, reader)
        .await?
        .ok_or(Error::FileNotFound)
}
