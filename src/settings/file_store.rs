//! Where the bytes of files lie.

use std::{
    fmt,
    path::{Component, Path, PathBuf},
    time::Duration,
};

use url::Url;

use super::disk::RESERVE;

/// The required form of `FILE_STORE`, for errors.
pub const FORM: &str = "postgres, dir:/path, or s3:https://endpoint/bucket";

/// Where the bytes of files lie. Written, as in `FILE_STORE`, it is the same for the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileStore {
    /// In the database.
    Postgres,
    /// In files below this directory.
    Dir(PathBuf),
    /// In a bucket of an S3 service.
    S3(Bucket),
}

/// A bucket of an S3 service, or what lies below a prefix in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The service's address: scheme, host and port.
    pub endpoint: String,
    /// Its name within the service.
    pub name: String,
    /// The prefix of all names, without slashes at its ends; may be empty.
    pub prefix: String,
}

/// The keys of the S3 service.
#[derive(Clone)]
pub struct S3Keys {
    /// `AWS_ACCESS_KEY_ID`.
    pub id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret: String,
    /// `AWS_REGION`.
    pub region: String,
}

/// How stores outside the database are used.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `AWS_ACCESS_KEY_ID` and what belongs to it: the keys of an S3 service in which files lie.
    pub s3_keys: Option<S3Keys>,
    /// Maximum time of one operation, after which a store counts as away. Not for operators; tests shorten it.
    // By `Timings::file_unfinished`, the writer of an unfinished object has given up long ago.
    pub timeout: Duration,
    /// Bytes that stay free on the disk of a directory. Not for operators.
    pub reserve: u64,
}

impl StoreOptions {
    /// The usual ones, with these keys.
    #[must_use]
    pub fn new(s3_keys: Option<S3Keys>) -> Self {
        Self {
            s3_keys,
            timeout: Duration::from_secs(30),
            reserve: RESERVE,
        }
    }
}

impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Keys")
            .field("id", &self.id)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

impl FileStore {
    /// Reads a place, as in `FILE_STORE`. Returns `None` if it has not that form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "postgres" {
            return Some(Self::Postgres);
        }
        match text.split_once(':')? {
            ("dir", path) => directory(path).map(Self::Dir),
            ("s3", url) => bucket(url).map(Self::S3),
            _ => None,
        }
    }
}

impl fmt::Display for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postgres => f.write_str("postgres"),
            Self::Dir(path) => write!(f, "dir:{}", path.display()),
            Self::S3(bucket) => {
                write!(f, "s3:{}/{}", bucket.endpoint, bucket.name)?;
                if bucket.prefix.is_empty() {
                    return Ok(());
                }
                write!(f, "/{}", bucket.prefix)
            }
        }
    }
}

/// A path from the root: commands and nodes run in different directories.
fn directory(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let is_plain = path
        .components()
        .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    // Collected again, which drops slashes at the end, and doubled ones.
    (path.is_absolute() && is_plain).then(|| path.components().collect())
}

fn bucket(url: &str) -> Option<Bucket> {
    // An escaped dot would be read as a step in the path, and left out.
    if url.contains('%') {
        return None;
    }
    let url = Url::parse(url).ok()?;
    let is_plain = ["http", "https"].contains(&url.scheme())
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_plain {
        return None;
    }
    let path = url.path().trim_matches('/');
    let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
    let is_name = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte))
    };
    (!name.is_empty() && is_name(path) && !path.contains("//")).then(|| Bucket {
        endpoint: url.origin().ascii_serialization(),
        name: name.to_owned(),
        prefix: prefix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_it_was_read() {
        for (text, written) in [
            ("postgres", "postgres"),
            ("dir:/srv/files", "dir:/srv/files"),
            ("dir:/srv//files/", "dir:/srv/files"),
            (
                "s3:https://s3.example.org/files",
                "s3:https://s3.example.org/files",
            ),
            (
                "s3:http://127.0.0.1:9000/files/a/b/",
                "s3:http://127.0.0.1:9000/files/a/b",
            ),
        ] {
            assert_eq!(FileStore::parse(text).unwrap().to_string(), written);
        }
        for wrong in [
            "",
            "Postgres",
            "dir",
            "dir:",
            "dir:files",
            "dir:/srv/../files",
            "s3:files",
            "s3:https://s3.example.org",
            "s3:https://s3.example.org/files?a=b",
            "s3:https://key:secret@s3.example.org/files",
            "s3:https://s3.example.org/files/%2e",
            "ftp://host/files",
        ] {
            assert_eq!(FileStore::parse(wrong), None, "{wrong}");
        }
    }
}
