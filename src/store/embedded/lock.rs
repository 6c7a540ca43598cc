//! Two lock files in the data directory. One process at a time owns the data; commands that use its
//! database meanwhile share the other lock.

use std::{
    fs::{File, TryLockError},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::Path,
    time::Duration,
};

use nix::libc::O_NOFOLLOW;
use tokio::time::{Instant, sleep};

use super::{Error, POLL};

// The file names are those of 0.1. After an upgrade in place, a server of the old version may still
// hold the locks: with other names, both versions would start PostgreSQL on the same data.
const OWNER_FILE: &str = "lock";
const USERS_FILE: &str = "guests";

// Kernel locks instead of files with a process id, because they end with the process, however that
// ends.

/// Takes the data directory for this process. Returns `None` if another process owns it.
pub(super) fn try_lock(data_dir: &Path) -> Result<Option<File>, Error> {
    exclusive(open(data_dir, OWNER_FILE)?, data_dir)
}

/// Like [`try_lock`], but waits up to `timeout` for the other process to end.
pub(super) async fn lock_timeout(
    data_dir: &Path,
    timeout: Duration,
) -> Result<Option<File>, Error> {
    let deadline = Instant::now() + timeout;
    loop {
        match try_lock(data_dir)? {
            None if Instant::now() < deadline => sleep(POLL).await,
            result => return Ok(result),
        }
    }
}

/// The file on which attached commands hold a shared lock while they use another process's
/// database.
pub(super) fn users_lock(data_dir: &Path) -> Result<File, Error> {
    open(data_dir, USERS_FILE)
}

/// Waits up to `timeout` until no command is attached. While the returned lock is held, none can
/// attach. Returns `None` if a command is still attached.
pub(super) async fn wait_for_users(data_dir: &Path, timeout: Duration) -> Option<File> {
    let deadline = Instant::now() + timeout;
    loop {
        let result = users_lock(data_dir).and_then(|file| exclusive(file, data_dir));
        if let Ok(Some(file)) = result {
            return Some(file);
        }
        if Instant::now() > deadline {
            if let Err(error) = result {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "commands may still use the database"
                );
            }
            return None;
        }
        sleep(POLL).await;
    }
}

fn exclusive(file: File, data_dir: &Path) -> Result<Option<File>, Error> {
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(Error::file(data_dir, "locked")(error)),
    }
}

fn open(data_dir: &Path, name: &str) -> Result<File, Error> {
    std::fs::create_dir_all(data_dir).map_err(Error::file(data_dir, "created"))?;
    let path = data_dir.join(name);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        // For root: the owner of the directory could have placed a link there, to make root create
        // or chown its target.
        .custom_flags(O_NOFOLLOW)
        .open(&path)
        .map_err(Error::file(&path, "written"))?;
    if nix::unistd::geteuid().is_root() {
        // The directory's owner may run a server in it, which has to open this file as well.
        let dir = std::fs::metadata(data_dir).map_err(Error::file(data_dir, "read"))?;
        fchown(&file, Some(dir.uid()), Some(dir.gid())).map_err(Error::file(&path, "written"))?;
    }
    Ok(file)
}
