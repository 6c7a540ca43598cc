//! PostgreSQL's programs: where they are, and of which major version.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

/// What to do where there are none.
const INSTALL: &str = "PostgreSQL's programs were not found. Install them (Debian, Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), or set PG_BIN to their directory, or set DATABASE_URL to use a server that runs";

/// A directory with `initdb` and `postgres` of one version.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    dir: PathBuf,
    pub major: String,
    pub version: String,
}

/// Which file a program is: whoever upgrades it puts another one in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Programs {
    /// Finds them: `PG_BIN` if it is given; else those of the data's version, or else the newest, of
    /// all that are found where distributions put them.
    ///
    /// # Errors
    /// A sentence with the install command.
    pub(super) fn find(given: Option<&Path>, data_version: Option<&str>) -> Result<Self, String> {
        if let Some(dir) = given {
            return Self::at(dir).ok_or_else(|| {
                format!(
                    "PG_BIN names {}, where PostgreSQL's programs are not",
                    dir.display()
                )
            });
        }
        let found: Vec<Self> = places().iter().filter_map(|dir| Self::at(dir)).collect();
        let fitting = found
            .iter()
            .position(|programs| Some(programs.major.as_str()) == data_version);
        let newest = || (0..found.len()).max_by_key(|i| found.get(*i).map(Self::number));
        let chosen = fitting.or_else(newest);
        chosen
            .and_then(|i| found.into_iter().nth(i))
            .ok_or_else(|| INSTALL.to_owned())
    }

    /// The path of one of them.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Which file `postgres` is now. Returns `None` when it is not there.
    pub(super) fn identity(&self) -> Option<Identity> {
        let found = std::fs::metadata(self.path("postgres")).ok()?;
        let modified = (found.mtime(), found.mtime_nsec());
        Some(Identity {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified,
        })
    }

    fn at(dir: &Path) -> Option<Self> {
        // A directory may hold links to some of them only: the others are where those lead to.
        let dir = dir.join("initdb").canonicalize().ok()?.parent()?.to_owned();
        // As: postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
        let output = Command::new(dir.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
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

fn places() -> Vec<PathBuf> {
    let mut places = Vec::new();
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        places.push(PathBuf::from(
            String::from_utf8_lossy(&output.stdout).trim(),
        ));
    }
    for (parent, below) in [
        ("/usr/lib/postgresql", "bin"),
        ("/opt/homebrew/opt", "bin"),
        ("/usr/local/opt", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "bin"),
    ] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        places.extend(
            entries
                .filter(|e| {
                    parent.starts_with("/usr/lib")
                        || parent.ends_with("Versions")
                        || e.file_name().to_string_lossy().starts_with("postgresql")
                })
                .map(|e| e.path().join(below)),
        );
    }
    places.extend(
        std::env::var_os("PATH")
            .iter()
            .flat_map(std::env::split_paths),
    );
    places
}
