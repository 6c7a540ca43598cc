//! Files that only their owner can read, written as a whole: JSON.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use super::Error;

/// Reads a value. Returns `None` if there is no such file.
///
/// # Errors
/// `Store`, `DamagedStore`; `OpenStore`: others can read it.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    #[cfg(unix)]
    // An error, and not repaired silently: others may have read the keys in it already.
    if std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path)?.permissions()) & 0o077 != 0 {
        return Err(Error::OpenStore);
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(Error::DamagedStore)
}

/// Writes a value. The file is either the old or the new one, whenever the machine stops.
///
/// # Errors
/// `Store`.
pub(crate) fn save<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let text = serde_json::to_vec(value).map_err(Error::DamagedStore)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    // Left over from a save that was interrupted, or put there with a mode of its own.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut options = OpenOptions::new();
    // New, and private from the start, so that nobody else can have it open.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(&text)?;
    // Before the rename, which might otherwise survive a crash that loses the content.
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The new name is in the folder, which has to be synced for itself.
    #[cfg(unix)]
    if let Some(folder) = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
