//! Where the embedded PostgreSQL is, and whose it is.

use std::{
    io,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::unistd::{Uid, User};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::postgres::PgConnectOptions;

use super::NAME;

/// What stands in a URL's query as it is; all else is encoded.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');
/// A socket's path may be so long; PostgreSQL adds `/.s.PGSQL.5432` to the directory's.
const MOST_PATH: usize = 107;
const SOCKET: &str = ".s.PGSQL.5432";

/// Where the embedded PostgreSQL is, and whose it is.
pub(super) struct Place {
    pub data: PathBuf,
    /// The socket's directory, private to the owner.
    pub socket_dir: PathBuf,
    /// Whom it runs as, where we are root: PostgreSQL refuses root.
    owner: Option<User>,
}

impl Place {
    /// Under this directory.
    ///
    /// # Errors
    /// One sentence: there is nobody to run it as.
    pub(super) fn of(data_dir: &Path) -> Result<Self, String> {
        let data_dir = std::path::absolute(data_dir)
            .map_err(|error| format!("{}: {error}", data_dir.display()))?;
        let run = data_dir.join("run");
        let fits = run.as_os_str().len() + 1 + SOCKET.len() <= MOST_PATH;
        let socket_dir = if fits {
            run
        } else {
            short_directory(&data_dir)
        };
        let data = data_dir.join("postgres");
        let owner = owner(&[&data, &data_dir])?;
        Ok(Self {
            data,
            socket_dir,
            owner,
        })
    }

    /// Makes the socket's directory, private to the owner.
    pub(super) fn prepare(&self) -> Result<(), String> {
        use std::os::unix::fs::DirBuilderExt;
        let dir = &self.socket_dir;
        let failed = |error: io::Error| format!("{} cannot be made: {error}", dir.display());
        let is_made = match std::fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(failed(error)),
        };
        if is_made || dir.parent() == self.data.parent() {
            self.give_to_owner(dir).map_err(failed)?;
        }
        // Somebody else's directory under a predictable name would see every connection.
        let found = std::fs::symlink_metadata(dir).map_err(failed)?;
        let wanted = self
            .owner
            .as_ref()
            .map_or_else(nix::unistd::geteuid, |user| user.uid)
            .as_raw();
        if !found.is_dir() || found.uid() != wanted || found.mode() & 0o077 != 0 {
            return Err(format!(
                "{} is not a private directory of the user that runs PostgreSQL",
                dir.display()
            ));
        }
        self.check_reach()
    }

    /// The file in which PostgreSQL says whose the socket is.
    pub(super) fn socket_lock(&self) -> PathBuf {
        self.socket_dir.join(format!("{SOCKET}.lock"))
    }

    /// Has a file belong to whom PostgreSQL runs as.
    pub(super) fn give_to_owner(&self, path: &Path) -> io::Result<()> {
        match &self.owner {
            Some(user) => {
                std::os::unix::fs::lchown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            }
            None => Ok(()),
        }
    }

    /// Whether the unprivileged user gets through the directories above the data.
    fn check_reach(&self) -> Result<(), String> {
        let Some(user) = &self.owner else {
            return Ok(());
        };
        let mut probe = Command::new("/bin/sh");
        probe
            .args(["-c", r#"cd "$1""#, "probe"])
            .arg(&self.socket_dir)
            .stderr(Stdio::null());
        self.run_as_owner(&mut probe);
        match probe.status() {
            Ok(status) if status.success() => Ok(()),
            _ => Err(format!(
                "PostgreSQL does not run as root, and the user {} cannot reach {}; set DATA_DIR to a directory that it can reach, such as /var/lib/parlance",
                user.name,
                self.data.display()
            )),
        }
    }

    /// Has a program run as its owner.
    pub(super) fn run_as_owner(&self, command: &mut Command) {
        if let Some(user) = &self.owner {
            command
                .uid(user.uid.as_raw())
                .gid(user.gid.as_raw())
                .env("HOME", &user.dir);
        }
        command
            .current_dir("/")
            .env_remove("PGDATA")
            .env("LC_ALL", "C");
    }

    /// How to reach it.
    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .socket(&self.socket_dir)
            .port(5432)
            .username(NAME)
            .database(NAME)
    }

    /// As [`Place::options`], for other programs.
    pub(super) fn url(&self) -> String {
        let host = self.socket_dir.as_os_str().as_encoded_bytes();
        format!(
            "postgres://{NAME}@localhost/{NAME}?host={}",
            percent_encode(host, PATH)
        )
    }
}

/// Whom PostgreSQL runs as: us, unless we are root. Then whoever owns what is there, as whom the server runs: what
/// root does on the command line is not to take it away.
fn owner(places: &[&Path]) -> Result<Option<User>, String> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for place in places {
        let Ok(found) = std::fs::symlink_metadata(place) else {
            continue;
        };
        if found.uid() != 0 {
            return match User::from_uid(Uid::from_raw(found.uid())) {
                Ok(Some(user)) => Ok(Some(user)),
                _ => Err(format!(
                    "{} belongs to user {}, who has no name on this machine",
                    place.display(),
                    found.uid()
                )),
            };
        }
    }
    for name in ["postgres", "nobody"] {
        if let Ok(Some(user)) = User::from_name(name) {
            return Ok(Some(user));
        }
    }
    Err("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody` to run it as".into())
}

/// A directory with a short path, always the same one for the same data.
fn short_directory(data_dir: &Path) -> PathBuf {
    use md5::{Digest, Md5};
    let name = hex::encode(Md5::digest(data_dir.as_os_str().as_encoded_bytes()));
    Path::new("/tmp").join(format!("parlance-{name}"))
}
