//! Stores of files: PostgreSQL, directories, and an S3 server.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parlance::{
    settings::{Bucket, FileStore, S3Keys, Settings, StoreOptions},
    store::{self, file::Stores},
};

use super::{World, file};

/// Where files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Directory,
    S3,
}

/// The S3 server of all tests but those that stop it.
static S3: LazyLock<S3Server> = LazyLock::new(|| S3Server::start(&directory().join("s3"), 0));

/// The directory of all stores of this run. It removes those of earlier runs.
pub(crate) fn directory() -> PathBuf {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let name = "parlance-stores-";
        for entry in std::fs::read_dir(std::env::temp_dir()).unwrap().flatten() {
            let file = entry.file_name();
            let process = file.to_str().and_then(|file| file.strip_prefix(name));
            let process = process.and_then(|process| process.parse().ok());
            if process.is_some_and(|process| kill(Pid::from_raw(process), None).is_err()) {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        std::env::temp_dir().join(format!("{name}{}", std::process::id()))
    });
    DIRECTORY.clone()
}

/// The keys of the S3 server.
pub(crate) fn s3_keys() -> S3Keys {
    S3Keys {
        id: "S3RVER".into(),
        secret: "S3RVER".into(),
        region: "us-east-1".into(),
    }
}

/// The stores of files, for calls that bypass the wire.
pub(crate) fn stores() -> Stores {
    Stores::new(StoreOptions::new(Some(s3_keys())))
}

impl Kind {
    /// A place in which no files are yet.
    pub(crate) fn place(self) -> FileStore {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("store-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        match self {
            Self::Postgres => FileStore::Postgres,
            Self::Directory => FileStore::Dir(directory().join("files").join(name)),
            Self::S3 => S3.place(&name),
        }
    }

    /// A world whose files lie in a place of this kind.
    pub(crate) async fn world(self) -> Arc<World> {
        self.world_with(|_| ()).await
    }

    /// With settings other than the usual ones.
    pub(crate) async fn world_with(self, change: impl FnOnce(&mut Settings)) -> Arc<World> {
        World::with(|settings| {
            settings.file_store = Some(self.place());
            change(settings);
        })
        .await
    }
}

/// A server of its own.
pub(crate) struct S3Server {
    child: Child,
    directory: PathBuf,
    pub port: u16,
}

impl S3Server {
    /// On this port, or on a free one if it is 0; with what is in the directory.
    pub(crate) fn start(directory: &Path, port: u16) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let modules = file("tests/s3/node_modules");
        assert!(modules.exists(), "run npm ci in tests/s3 first");
        let mut child = Command::new("node")
            .arg(file("tests/s3/server.mjs"))
            .arg(directory)
            .arg(port.to_string())
            // It ends when this is closed, however the tests end.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is there");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            directory: directory.to_owned(),
            port: line.trim().parse().expect("the S3 server says its port"),
        }
    }

    /// What lies below this prefix.
    pub(crate) fn place(&self, prefix: &str) -> FileStore {
        FileStore::S3(Bucket {
            endpoint: format!("http://127.0.0.1:{}", self.port),
            name: "files".into(),
            prefix: prefix.into(),
        })
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(process), signal).unwrap();
    }

    pub(crate) fn stop(self) {
        drop(self);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // Also one that was stopped by a signal, and would not notice that a test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files in which the objects of a world's store lie.
pub(crate) async fn lying(world: &World) -> Vec<PathBuf> {
    match store::file::present(&world.store).await.unwrap() {
        FileStore::Postgres => vec![],
        FileStore::Dir(path) => files(&path, |name| !name.starts_with("parlance")),
        FileStore::S3(bucket) => files(&S3.directory.join("files").join(bucket.prefix), |name| {
            name.ends_with("_object") && !name.starts_with("parlance")
        }),
    }
}

fn files(below: &Path, counts: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let (mut found, mut pending) = (vec![], vec![below.to_owned()]);
    while let Some(directory) = pending.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                pending.push(entry.path());
            } else if counts(&entry.file_name().to_string_lossy()) {
                found.push(entry.path());
            }
        }
    }
    found
}
