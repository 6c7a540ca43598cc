//! A store in a directory: an object is a file, written once and synced.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use nix::unistd::geteuid;
use tokio::{sync::Semaphore, task::spawn_blocking};
use uuid::Uuid;

use super::{PARTS, part_name};
use crate::{settings::Disk, store::error::Cause};

/// Maximum operations at the same time.
// Each keeps a thread, of which the process has only so many, for as long as a disk hangs.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    disk: Disk,
    turns: Arc<Semaphore>,
}

impl Dir {
    /// `reserve`: bytes that stay free on its disk.
    pub(super) fn new(path: PathBuf, reserve: u64) -> Self {
        Self {
            disk: Disk {
                path: path.clone(),
                reserve,
            },
            path,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Bytes that its disk has room for. Returns `None` if that is little.
    pub(super) async fn room(&self) -> Result<Option<u64>, Cause> {
        let disk = self.disk.clone();
        self.blocking(move || disk.room()).await
    }

    /// # Errors
    /// The directory is another user's of the system.
    // What root writes there, as in a command that was to be a service user's, that user cannot read.
    pub(super) async fn check_user(&self) -> Result<(), Cause> {
        let path = self.path.clone();
        let owner = self.blocking(move || if_there(fs::metadata(path))).await?;
        // One of root's may be for a group, in which the server's user is.
        let is_anothers = |owner: &u32| ![0, geteuid().as_raw()].contains(owner);
        match owner.map(|directory| directory.uid()).filter(is_anothers) {
            None => Ok(()),
            Some(owner) => Err(format!(
                "the directory is another user's, number {owner}, and this runs as number {}: run it as the server's user, who has to own the directory",
                geteuid()
            )
            .into()),
        }
    }

    /// Makes the directory a store: all directories in it first, and then this file, which says so, unless
    /// it is there.
    pub(super) async fn prepare(&self, name: &str, text: Bytes) -> Result<(), Cause> {
        let (path, file) = (self.path.clone(), self.path.join(name));
        self.blocking(move || {
            // A created directory must survive a power cut.
            let is_new = |dir: &&Path| !dir.exists();
            let created: Vec<&Path> = path.ancestors().take_while(is_new).collect();
            // For the server alone, as the database is.
            let mut create = fs::DirBuilder::new();
            create.recursive(true).mode(0o700);
            for part in 0..PARTS {
                create.create(path.join(part_name(part)))?;
            }
            for dir in created {
                sync_parent(dir)?;
            }
            write_new(&file, &text)
        })
        .await
    }

    pub(super) async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Cause> {
        let path = self.path.join(name);
        self.blocking(move || write(&path, &bytes)).await
    }

    pub(super) async fn get(
        &self,
        name: &str,
        range: Option<Range<u64>>,
    ) -> Result<Option<Bytes>, Cause> {
        let path = self.path.join(name);
        let length = range
            .as_ref()
            .map_or(0, |range| range.end.saturating_sub(range.start));
        // Allocated here and not in a thread of its own: the allocator keeps what each thread has used, and there
        // are many that take turns.
        let bytes = Vec::with_capacity(usize::try_from(length)?);
        self.blocking(move || {
            let file = if_there(File::open(path))?;
            file.map(|file| read(file, range, bytes)).transpose()
        })
        .await
    }

    pub(super) async fn has(&self, name: &str) -> Result<bool, Cause> {
        let path = self.path.join(name);
        self.blocking(move || fs::exists(path)).await
    }

    /// Returns whether it was there.
    pub(super) async fn delete(&self, name: &str) -> Result<bool, Cause> {
        let path = self.path.join(name);
        self.blocking(move || Ok(if_there(fs::remove_file(path))?.is_some()))
            .await
    }

    pub(super) async fn list(&self, part: &str) -> Result<Vec<String>, Cause> {
        let path = self.path.join(part);
        self.blocking(move || {
            let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name()));
            let names: io::Result<Vec<_>> = names.collect();
            Ok(names?
                .into_iter()
                .filter_map(|name| name.into_string().ok())
                .collect())
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Cause> {
        let turn = self.turns.clone().acquire_owned().await?;
        // The thread holds the turn, because it goes on when its caller gives up.
        let work = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        Ok(work.await??)
    }
}

/// Writes a file under its final name: nobody reads it before that is known to have succeeded.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    // Its name, too, has to be there after a power cut.
    sync_parent(path)
}

/// Writes a file that is whole once it has this name, unless there is one.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let whole = path.with_extension(Uuid::new_v4().to_string());
    write(&whole, bytes)?;
    // Of several, one succeeds, which renaming would not tell.
    let linked = fs::hard_link(&whole, path);
    fs::remove_file(&whole)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_parent(path),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

fn read(mut file: File, range: Option<Range<u64>>, mut bytes: Vec<u8>) -> io::Result<Bytes> {
    match range {
        None => file.read_to_end(&mut bytes)?,
        Some(range) => {
            file.seek(SeekFrom::Start(range.start))?;
            let length = range.end.saturating_sub(range.start);
            file.take(length).read_to_end(&mut bytes)?
        }
    };
    Ok(bytes.into())
}

fn if_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
