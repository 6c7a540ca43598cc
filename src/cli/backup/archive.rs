//! The file format of a backup: a tar archive with a manifest and the output of `pg_dump
//! --format=custom`, so that it can also be restored by hand with `tar` and `pg_restore`.

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

/// The format that this version writes and reads.
pub(super) const FORMAT: u32 = 1;
const DUMP: &str = "database.dump";
const MANIFEST: &str = "manifest.json";
/// Size of a tar block: a header takes one block, and contents are padded to whole blocks.
const BLOCK: u64 = 512;
/// Maximum bytes of a manifest: it names a few tables.
const MAX_MANIFEST: u64 = 1 << 20;

/// The description of a backup.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// [`FORMAT`].
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

/// A file being written. It is removed on drop unless [`Writer::end`] has completed it.
pub(super) struct Writer {
    file: File,
    path: Option<PathBuf>,
}

impl Writer {
    /// Creates the file and leaves room for the dump's header, whose size field is only known at
    /// the end.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            // Two backups to the same path would write into each other: the second one fails
            // instead.
            .create_new(true)
            // Readable by the owner alone, as it holds the whole database.
            .mode(0o600)
            .open(path)?;
        file.seek(SeekFrom::Start(BLOCK))?;
        Ok(Self {
            file,
            path: Some(path.to_owned()),
        })
    }

    /// Writes the dump. Returns its size and its SHA-256.
    pub(super) fn dump(&mut self, dump: &mut impl Read) -> io::Result<(u64, String)> {
        // Hashed on the way, so that a large dump is not read a second time.
        let mut hash = Context::new(&SHA256);
        let mut bytes = 0;
        for_each_part(dump, |part| {
            hash.update(part);
            bytes += u64::try_from(part.len()).map_err(io::Error::other)?;
            self.file.write_all(part)
        })?;
        Ok((bytes, hex::encode(hash.finish())))
    }

    /// Completes the file and waits until it is on disk.
    pub(super) fn end(mut self, manifest: &Manifest) -> io::Result<()> {
        let padding = manifest.bytes.next_multiple_of(BLOCK) - manifest.bytes;
        io::copy(&mut io::repeat(0).take(padding), &mut self.file)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file
            .write_all(header(DUMP, manifest.bytes)?.as_bytes())?;
        self.file.seek(SeekFrom::End(0))?;
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        let mut rest = tar::Builder::new(&mut self.file);
        let bytes = u64::try_from(text.len()).map_err(io::Error::other)?;
        rest.append(&header(MANIFEST, bytes)?, &*text)?;
        rest.finish()?;
        drop(rest);
        // Synced before it is renamed: after a power cut, the final name must not lead to an
        // incomplete file.
        self.file.sync_all()?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
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
    // A ustar header is exactly the one block that `begin` left free; a PAX header may need more.
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
    /// The dump's offset in the file.
    dump_at: u64,
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
        let (dump_at, bytes, manifest) =
            entries(&mut file).map_err(|source| Error::NotABackup {
                file: path.to_owned(),
                source,
            })?;
        if manifest.format != FORMAT {
            return Err(Error::Newer {
                file: path.to_owned(),
                version: manifest.parlance,
            });
        }
        let mut archive = Self {
            path: path.to_owned(),
            file,
            dump_at,
            manifest,
        };
        let sha256 = archive.hash().map_err(cannot_read)?;
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
    pub(super) fn copy(&mut self, to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.dump_at))?;
        for_each_part((&self.file).take(self.manifest.bytes), to)
    }
}

fn for_each_part(
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

/// Finds the manifest, and the dump's offset and size.
fn entries(file: &mut File) -> io::Result<(u64, u64, Manifest)> {
    let mut archive = tar::Archive::new(file);
    let (mut dump, mut manifest) = (None, None);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        match entry.path_bytes().as_ref() {
            path if path == DUMP.as_bytes() => {
                dump = Some((entry.raw_file_position(), entry.size()));
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
    let (at, bytes) = dump.ok_or_else(|| missing(DUMP))?;
    Ok((at, bytes, manifest.ok_or_else(|| missing(MANIFEST))?))
}
