//! A backup's file: a tar archive of what `pg_dump --format=custom` wrote, and of a manifest. So it can also be taken
//! apart by hand, with `tar` and `pg_restore`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::store::backup::Tables;

const DUMP: &str = "database.dump";
const MANIFEST: &str = "manifest.json";
/// Tar knows blocks only.
const BLOCK: u64 = 512;
/// A manifest names a few tables.
const MOST_MANIFEST: u64 = 1 << 20;

/// What a backup says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// How the file is made: 1.
    pub format: u32,
    /// The Parlance that made it.
    pub parlance: String,
    /// The PostgreSQL that it was made of.
    pub postgres: String,
    /// The newest migration in it.
    pub migration: i64,
    /// When, in UTC.
    pub taken_at: String,
    /// The dump's size.
    pub bytes: u64,
    /// The dump's SHA-256, in hex.
    pub sha256: String,
    /// What each table holds.
    pub tables: Tables,
}

impl Manifest {
    /// How many rows there are in all.
    pub(super) fn rows(&self) -> i64 {
        self.tables.values().map(|table| table.rows).sum()
    }
}

/// A file that is being written. Nobody else may read it: it holds everything. It goes, unless it is ended.
pub(super) struct Writing {
    file: File,
    path: Option<PathBuf>,
}

impl Writing {
    /// Begins, with room for the dump's header.
    pub(super) fn begin(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.seek(SeekFrom::Start(BLOCK))?;
        Ok(Self {
            file,
            path: Some(path.to_owned()),
        })
    }

    /// Takes the dump to its end. Its size and its SHA-256.
    pub(super) fn dump(&mut self, dump: &mut impl Read) -> io::Result<(u64, String)> {
        let mut hash = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let part = match dump.read(&mut buffer)? {
                0 => break,
                count => buffer.get(..count).unwrap_or_default(),
            };
            hash.update(part);
            self.file.write_all(part)?;
            bytes += u64::try_from(part.len()).unwrap_or(0);
        }
        Ok((bytes, hex::encode(hash.finish())))
    }

    /// Ends, and waits until it is on the disk.
    pub(super) fn end(mut self, manifest: &Manifest) -> io::Result<()> {
        let padding =
            usize::try_from(manifest.bytes.next_multiple_of(BLOCK) - manifest.bytes).unwrap_or(0);
        self.file.write_all(&vec![0; padding])?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file
            .write_all(header(DUMP, manifest.bytes)?.as_bytes())?;
        self.file.seek(SeekFrom::End(0))?;
        let mut text = serde_json::to_vec_pretty(manifest)?;
        text.push(b'\n');
        let mut rest = tar::Builder::new(&mut self.file);
        rest.append(
            &header(MANIFEST, u64::try_from(text.len()).unwrap_or(0))?,
            &*text,
        )?;
        rest.finish()?;
        drop(rest);
        self.file.sync_all()?;
        self.path = None;
        Ok(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // What cannot be removed is named by the next backup.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Gives a file that was written its name, unless there is one of that name already.
pub(super) fn publish(part: &Path, file: &Path) -> io::Result<()> {
    match std::fs::hard_link(part, file) {
        Ok(()) => std::fs::remove_file(part)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(part)?;
            return Err(error);
        }
        // Not every file system knows links.
        Err(_) => std::fs::rename(part, file)?,
    }
    // The name is on the disk, too.
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

/// A file that was written.
pub(super) struct Archive {
    file: File,
    dump_at: u64,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Archive {
    /// Opens it, and looks whether the dump is what the manifest says.
    ///
    /// # Errors
    /// One sentence.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let name = path.display();
        let mut file =
            File::open(path).map_err(|error| format!("{name} cannot be read: {error}"))?;
        let (dump_at, bytes, manifest) = entries(&mut file)
            .map_err(|error| format!("{name} is not a backup, or not a whole one: {error}"))?;
        if manifest.format != 1 {
            return Err(format!(
                "{name} was made by a newer Parlance ({}); this one cannot read it",
                manifest.parlance
            ));
        }
        let mut archive = Self {
            file,
            dump_at,
            manifest,
        };
        let sha256 = archive
            .hash()
            .map_err(|error| format!("{name} cannot be read: {error}"))?;
        if bytes != archive.manifest.bytes || sha256 != archive.manifest.sha256 {
            return Err(format!(
                "{name} is damaged: it does not hold what its manifest says"
            ));
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

    /// Hands on the dump, part by part.
    pub(super) fn copy(&mut self, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(self.dump_at))?;
        let mut left = (&self.file).take(self.manifest.bytes);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match left.read(&mut buffer)? {
                0 => return Ok(()),
                count => to(buffer.get(..count).unwrap_or_default())?,
            }
        }
    }
}

/// Where the dump begins, how many bytes it has, and the manifest.
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
                    entry.take(MOST_MANIFEST),
                ))?);
            }
            _ => {}
        }
    }
    let missing = |what| io::Error::new(io::ErrorKind::InvalidData, format!("it has no {what}"));
    let (at, bytes) = dump.ok_or_else(|| missing(DUMP))?;
    Ok((at, bytes, manifest.ok_or_else(|| missing(MANIFEST))?))
}
