//! A disk that files must not fill up.

use std::{io, path::PathBuf};

use nix::sys::statvfs::statvfs;

/// Bytes that files leave free on a disk: what messages need for a good while.
pub(super) const RESERVE: u64 = 1 << 30;

/// A disk that files must not fill up.
#[derive(Debug, Clone)]
pub struct Disk {
    /// A directory on it.
    pub path: PathBuf,
    /// Bytes that stay free on it; and a twentieth of it does.
    pub reserve: u64,
}

impl Disk {
    /// The disk on which this directory is.
    #[must_use]
    pub fn of(path: PathBuf) -> Self {
        Self {
            path,
            reserve: RESERVE,
        }
    }

    /// Bytes that files may still take. Returns `None` if it has little room left.
    ///
    /// # Errors
    /// The directory is not there.
    pub fn room(&self) -> io::Result<Option<u64>> {
        let stat = statvfs(&self.path)?;
        let block = u128::from(stat.fragment_size());
        let free = u128::from(stat.blocks_available()) * block;
        let total = u128::from(stat.blocks()) * block;
        let kept = total.div_ceil(20).max(self.reserve.into());
        let room = free.checked_sub(kept);
        Ok(room.map(|room| u64::try_from(room).unwrap_or(u64::MAX)))
    }

    /// Returns `false` if it has little room left.
    ///
    /// # Errors
    /// The directory is not there.
    pub fn has_room(&self) -> io::Result<bool> {
        Ok(self.room()?.is_some())
    }
}
