//! The paths of the embedded PostgreSQL's data and socket, and how to connect to it.

use std::{
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::postgres::PgConnectOptions;

use super::{Error, NAME, owner::Owner};

/// Characters that need no encoding in a URL's query.
const UNENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.');
/// Maximum length of a socket's path: `sun_path` is 108 bytes on Linux, with the final zero.
const MAX_SOCKET_PATH: usize = 107;
const SOCKET: &str = ".s.PGSQL.5432";

/// The paths of a cluster, and its owner.
pub(super) struct ClusterPaths {
    pub data: PathBuf,
    /// The socket's directory, private to the owner.
    pub socket_dir: PathBuf,
    pub owner: Owner,
}

impl ClusterPaths {
    /// The paths below a data directory. Creates nothing.
    ///
    /// # Errors
    /// There is no user to run PostgreSQL as.
    pub(super) fn of(data_dir: &Path) -> Result<Self, Error> {
        let data_dir = std::path::absolute(data_dir).map_err(Error::file(data_dir, "found"))?;
        let run = data_dir.join("run");
        let fits = run.as_os_str().len() + 1 + SOCKET.len() <= MAX_SOCKET_PATH;
        let socket_dir = if fits {
            run
        } else {
            short_directory(&data_dir)
        };
        let data = data_dir.join("postgres");
        let owner = Owner::of(&[&data, &data_dir])?;
        Ok(Self {
            data,
            socket_dir,
            owner,
        })
    }

    /// Creates the socket's directory, private to the owner.
    ///
    /// # Errors
    /// It belongs to another user, or the owner cannot reach it.
    pub(super) async fn prepare(&self) -> Result<(), Error> {
        let dir = &self.socket_dir;
        let failed = || Error::file(dir, "created");
        let created = match std::fs::DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(failed()(error)),
        };
        // An existing directory under /tmp may belong to somebody else, and must not be taken over.
        if created || dir.parent() == self.data.parent() {
            self.owner.take(dir).map_err(failed())?;
        }
        // A short directory has a predictable name under /tmp: somebody who created it first could
        // see every connection.
        let found = std::fs::symlink_metadata(dir).map_err(failed())?;
        if !found.is_dir() || found.uid() != self.owner.uid() || found.mode() & 0o077 != 0 {
            return Err(Error::NotPrivate { dir: dir.clone() });
        }
        self.check_reach().await
    }

    /// The file in which PostgreSQL records the process that owns the socket.
    pub(super) fn socket_lock(&self) -> PathBuf {
        self.socket_dir.join(format!("{SOCKET}.lock"))
    }

    /// Checks that the owner can traverse the directories above the data.
    async fn check_reach(&self) -> Result<(), Error> {
        let Some(user) = self.owner.name() else {
            return Ok(());
        };
        // Checked by a process of that user, as root can traverse every directory.
        let mut probe = Command::new("/bin/sh");
        probe
            .args(["-c", r#"cd "$1""#, "probe"])
            .arg(&self.socket_dir)
            .stderr(Stdio::null());
        self.owner.run(&mut probe);
        match tokio::process::Command::from(probe).status().await {
            Ok(status) if status.success() => Ok(()),
            _ => Err(Error::OutOfReach {
                user: user.to_owned(),
                data: self.data.clone(),
            }),
        }
    }

    /// Options for this process to connect with.
    pub(super) fn options(&self) -> PgConnectOptions {
        // Without ~/.pgpass, whose entry for localhost is for another server. The port is only a
        // part of the socket's name.
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .socket(&self.socket_dir)
            .port(5432)
            .username(NAME)
            .database(NAME)
    }

    /// The URL for other programs to connect with.
    pub(super) fn url(&self) -> String {
        let host = self.socket_dir.as_os_str().as_encoded_bytes();
        format!(
            "postgres://{NAME}@localhost/{NAME}?host={}",
            percent_encode(host, UNENCODED)
        )
    }
}

/// A directory with a short path, always the same for the same data.
fn short_directory(data_dir: &Path) -> PathBuf {
    use md5::{Digest, Md5};
    // Derived from the path instead of random, as commands have to find the socket of a running
    // server.
    let name = hex::encode(Md5::digest(data_dir.as_os_str().as_encoded_bytes()));
    Path::new("/tmp").join(format!("parlance-{name}"))
}
