//! The file format of a backup: a tar archive with the output of `pg_dump --format=custom` and a
//! manifest, so that it can also be restored by hand with `tar` and `pg_restore`. The dump is in
//! parts, so that the archive can be written to a pipe: tar has an entry's size before its contents.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::store::backup::Tables;

/// The format that this version writes. It reads format 1 too, which has the dump in one piece.
pub(super) const FORMAT: u32 = 2;
/// The dump's entry in format 1, and what the names of its parts begin with.
const DUMP: &str = "database.dump";
const MANIFEST: &str = "manifest.json";
/// Size of the dump's parts but the last one, each of which is in memory once.
const PART: u64 = 4 << 20;
/// Maximum bytes of a manifest: it names a few tables.
const MAX_MANIFEST: u64 = 1 << 20;

/// The description of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub format: u32,
    /// The version of Parlance that wrote it.
    pub parlance: String,
    /// The version of PostgreSQL that it was taken from.
    pub postgres: String,
    /// The newest migration in it.
    pub migration: i64,
    /// When the snapshot was taken, in UTC.
    pub taken_at: String,
    /// The dump's size.
    pub bytes: u64,
    /// The dump's SHA-256, in hex.
    pub sha256: String,
    /// The contents of each table.
    pub tables: Tables,
}

impl Manifest {
    /// Total number of rows.
    pub(super) fn rows(&self) -> i64 {
        self.tables.values().map(|table| table.rows).sum()
    }
}

/// An archive being written.
pub(super) struct Writer {
    archive: tar::Builder<Output>,
}

/// Where an archive goes.
enum Output {
    /// A file, which is removed on drop unless it is complete.
    File {
        file: File,
        path: PathBuf,
        is_complete: bool,
    },
    Stdout(io::Stdout),
}

impl Writer {
    /// Creates a file.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            // Two backups to the same path would write into each other: the second one fails
            // instead.
            .create_new(true)
            // Readable by the owner alone, as it holds the whole database.
            .mode(0o600)
            .open(path)?;
        Ok(Self::of(Output::File {
            file,
            path: path.to_owned(),
            is_complete: false,
        }))
    }

    /// Writes to standard output.
    pub(super) fn stdout() -> Self {
        Self::of(Output::Stdout(io::stdout()))
    }

    fn of(output: Output) -> Self {
        Self {
            archive: tar::Builder::new(output),
        }
    }

    /// Writes the dump. Returns its size and its SHA-256.
    pub(super) fn dump(&mut self, dump: &mut impl Read) -> io::Result<(u64, String)> {
        // Hashed on the way, so that a large dump is not read a second time.
        let mut hash = Context::new(&SHA256);
        let mut bytes = 0;
        let mut part = Vec::new();
        for number in 1.. {
            part.clear();
            let length = dump.take(PART).read_to_end(&mut part)?;
            let length = u64::try_from(length).map_err(io::Error::other)?;
            if length == 0 {
                break;
            }
            hash.update(&part);
            bytes += length;
            // Enough digits for 40 TB, so that names sort like the parts.
            let name = format!("{DUMP}.{number:07}");
            self.archive.append(&header(&name, length)?, &*part)?;
        }
        Ok((bytes, hex::encode(hash.finish())))
    }

    /// Completes the archive and, if it is a file, waits until it is on disk.
    pub(super) fn end(mut self, manifest: &Manifest) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        let bytes = u64::try_from(text.len()).map_err(io::Error::other)?;
        self.archive.append(&header(MANIFEST, bytes)?, &*text)?;
        let mut output = self.archive.into_inner()?;
        output.flush()?;
        if let Output::File {
            file, is_complete, ..
        } = &mut output
        {
            // Synced before it is renamed: after a power cut, the final name must not lead to an
            // incomplete file.
            file.sync_all()?;
            *is_complete = true;
        }
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::Stdout(stdout) => stdout.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.flush(),
            Self::Stdout(stdout) => stdout.flush(),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Self::File {
            path,
            is_complete: false,
            ..
        } = self
        {
            // If it cannot be removed, the next backup to the same path reports it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Renames a complete file to its final name. Unlike a plain rename, it fails if that name exists.
pub(super) fn publish(part: &Path, file: &Path) -> io::Result<()> {
    match std::fs::hard_link(part, file) {
        Ok(()) => std::fs::remove_file(part)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(part)?;
            return Err(error);
        }
        // Not every file system has hard links.
        Err(_) => std::fs::rename(part, file)?,
    }
    // A rename is durable only once the directory is synced.
    let dir = file
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

fn header(name: &str, bytes: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_size(bytes);
    header.set_mode(0o600);
    header.set_cksum();
    Ok(header)
}

/// A backup being read.
pub(super) struct Archive {
    pub path: PathBuf,
    file: File,
    /// Offset and size of each part of the dump in the file.
    parts: Vec<(u64, u64)>,
    pub manifest: Manifest,
}

impl Archive {
    /// Opens a backup and checks the dump against the manifest.
    ///
    /// # Errors
    /// It cannot be read, is not a backup, is damaged, or is newer than this version.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let cannot_read = |source| Error::Read {
            file: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(cannot_read)?;
        let (parts, manifest) = entries(&mut file).map_err(|source| Error::NotABackup {
            file: path.to_owned(),
            source,
        })?;
        if manifest.format > FORMAT {
            return Err(Error::Newer {
                file: path.to_owned(),
                version: manifest.parlance,
            });
        }
        let mut archive = Self {
            path: path.to_owned(),
            file,
            parts,
            manifest,
        };
        let sha256 = archive.hash().map_err(cannot_read)?;
        let bytes: u64 = archive.parts.iter().map(|(_, size)| size).sum();
        // Checked before anything is restored from it.
        if bytes != archive.manifest.bytes || sha256 != archive.manifest.sha256 {
            return Err(Error::Damaged(path.to_owned()));
        }
        Ok(archive)
    }

    fn hash(&mut self) -> io::Result<String> {
        let mut hash = Context::new(&SHA256);
        self.copy(|part| {
            hash.update(part);
            Ok(())
        })?;
        Ok(hex::encode(hash.finish()))
    }

    /// Reads the dump in chunks.
    pub(super) fn copy(&mut self, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        for (at, size) in &self.parts {
            self.file.seek(SeekFrom::Start(*at))?;
            for_each_chunk((&self.file).take(*size), &mut to)?;
        }
        Ok(())
    }
}

fn for_each_chunk(
    mut from: impl Read,
    mut to: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            count => to(buffer.get(..count).ok_or(io::ErrorKind::InvalidData)?)?,
        }
    }
}

/// Finds the manifest, and each part of the dump: its offset and size.
fn entries(file: &mut File) -> io::Result<(Vec<(u64, u64)>, Manifest)> {
    let mut archive = tar::Archive::new(file);
    let (mut parts, mut manifest) = (Vec::new(), None);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        match entry.path_bytes().as_ref() {
            path if path.starts_with(DUMP.as_bytes()) => {
                parts.push((entry.raw_file_position(), entry.size()));
            }
            path if path == MANIFEST.as_bytes() => {
                manifest = Some(serde_json::from_reader(io::BufReader::new(
                    entry.take(MAX_MANIFEST),
                ))?);
            }
            // Other entries are ignored: an archive that was repacked by hand may hold more, and
            // what a restore needs is required below.
            _ => {}
        }
    }
    let missing = |what| io::Error::new(io::ErrorKind::InvalidData, format!("it has no {what}"));
    if parts.is_empty() {
        return Err(missing(DUMP));
    }
    Ok((parts, manifest.ok_or_else(|| missing(MANIFEST))?))
}
