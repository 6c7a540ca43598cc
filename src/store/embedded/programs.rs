//! Finds PostgreSQL's programs and their major version.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::Error;

/// A directory with `initdb` and `postgres` of one version.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    dir: PathBuf,
    pub major: String,
    pub version: String,
}

/// Identifies a program's file, which an upgrade of its package replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Programs {
    /// Finds the programs: in `PG_BIN` if that is set, otherwise where distributions install them,
    /// of the data's version or the newest.
    ///
    /// # Errors
    /// They are not installed, or not in `PG_BIN`.
    pub(super) async fn find(
        pg_bin: Option<PathBuf>,
        data_version: Option<String>,
    ) -> Result<Self, Error> {
        // Blocking, because it runs `postgres --version` for each candidate.
        tokio::task::spawn_blocking(move || match pg_bin {
            Some(dir) => Self::at(&dir).ok_or(Error::WrongPgBin { dir }),
            None => Self::search(data_version.as_deref()),
        })
        .await?
    }

    fn search(data_version: Option<&str>) -> Result<Self, Error> {
        let mut found: Vec<Self> = directories()
            .iter()
            .filter_map(|dir| Self::at(dir))
            .collect();
        let matching = found
            .iter()
            .position(|programs| Some(programs.major.as_str()) == data_version);
        // If there is no data, or no program of its version; the caller then reports which version
        // is needed.
        let newest = || (0..found.len()).max_by_key(|i| found.get(*i).map(Self::number));
        let chosen = matching.or_else(newest).ok_or(Error::NotInstalled)?;
        Ok(found.swap_remove(chosen))
    }

    /// The path of a program.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Identifies the present file of `postgres`. Returns `None` if it is gone.
    pub(super) fn identity(&self) -> Option<Identity> {
        let found = std::fs::metadata(self.path("postgres")).ok()?;
        // Not by inode alone, as an installer may overwrite the file in place.
        let modified = (found.mtime(), found.mtime_nsec());
        Some(Identity {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified,
        })
    }

    fn at(dir: &Path) -> Option<Self> {
        // Debian links a few of them into /usr/bin; the others are in the directory that the links
        // point to.
        let dir = dir.join("initdb").canonicalize().ok()?.parent()?.to_owned();
        let output = Command::new(dir.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // For example "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
        let version = text.split_whitespace().nth(2)?;
        let major = version
            .split(|c: char| !c.is_ascii_digit())
            .next()
            .filter(|major| !major.is_empty())?;
        Some(Self {
            dir,
            major: major.to_owned(),
            version: version.to_owned(),
        })
    }

    fn number(&self) -> u32 {
        self.major.parse().unwrap_or(0)
    }
}

/// The directories in which distributions install them.
fn directories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
        ("/Applications/Postgres.app/Contents/Versions", ""),
    ] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        found.extend(
            entries
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
                .map(|entry| entry.path().join("bin")),
        );
    }
    found.extend(
        std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths),
    );
    found
}
