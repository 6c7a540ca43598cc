//! Whose the data is at the moment: one process holds it, and commands that use its database meanwhile are its guests.

use std::{
    fs::File,
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::Path,
    time::Duration,
};

use nix::libc::O_NOFOLLOW;
use tokio::time::{Instant, sleep};

use super::POLL;

/// How long a command may hold the data before a server that starts takes it for another server.
const COMMAND: Duration = Duration::from_secs(3);

/// Takes the data directory for this process. `None`: another one holds it.
pub(super) fn lock(data_dir: &Path) -> Result<Option<File>, String> {
    let file = lock_file(data_dir, "lock")?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(format!("{} cannot be locked: {error}", data_dir.display()))
        }
    }
}

/// As [`lock`], but a command that is about to end is waited for.
pub(super) async fn patient_lock(data_dir: &Path) -> Result<Option<File>, String> {
    let deadline = Instant::now() + COMMAND;
    loop {
        match lock(data_dir)? {
            None if Instant::now() < deadline => sleep(POLL).await,
            held => return Ok(held),
        }
    }
}

/// Those who have joined another's database share a lock on this file.
pub(super) fn guest_book(data_dir: &Path) -> Result<File, String> {
    lock_file(data_dir, "guests")
}

/// Waits until those who have joined have gone, for so long. While what it returns is held, nobody joins any more. Returns
/// `None` when somebody stayed, or it could not be found out.
pub(super) async fn see_guests_off(data_dir: &Path, patience: Duration) -> Option<File> {
    let deadline = Instant::now() + patience;
    loop {
        match guest_book(data_dir) {
            Ok(book) if book.try_lock().is_ok() => return Some(book),
            _ if Instant::now() > deadline => return None,
            _ => sleep(POLL).await,
        }
    }
}

fn lock_file(data_dir: &Path, name: &str) -> Result<File, String> {
    let failed = |error: io::Error| {
        format!(
            "{} cannot be written: {error}",
            data_dir.join(name).display()
        )
    };
    std::fs::create_dir_all(data_dir)
        .map_err(|error| format!("{} cannot be made: {error}", data_dir.display()))?;
    // Root does not follow where the owner of the directory may have laid a link to.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(O_NOFOLLOW)
        .open(data_dir.join(name))
        .map_err(failed)?;
    if nix::unistd::geteuid().is_root() {
        // Whoever owns the directory runs a server in it, and has to open this as well.
        let dir = std::fs::metadata(data_dir).map_err(failed)?;
        fchown(&file, Some(dir.uid()), Some(dir.gid())).map_err(failed)?;
    }
    Ok(file)
}
