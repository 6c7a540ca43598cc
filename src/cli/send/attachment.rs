//! Files that go with a message.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
    vec,
};

use aws_lc_rs::digest::{self, SHA256};
use tokio::io::{AsyncRead, ReadBuf};

use super::{
    super::Error,
    media::{self, HEAD, Media},
};
use parlance_client::{ConversationId, Device, e2ee::FileReference};
use parlance_wire::{e2ee::sha256, request::file::MAX_FILES};

/// A file that goes with the text.
pub(super) struct Attachment {
    path: PathBuf,
    pub name: String,
    pub size: u64,
}

/// The files at these paths, as far as they can be looked at before anything is sent.
pub(super) fn attachments(paths: &[PathBuf]) -> Result<Vec<Attachment>, Error> {
    if paths.len() > MAX_FILES {
        return Err(Error::TooManyFiles);
    }
    paths
        .iter()
        .map(|path| {
            let size = fs::metadata(path).map_err(unreadable(path))?.len();
            let name = path.file_name().unwrap_or(path.as_os_str());
            Ok(Attachment {
                path: path.clone(),
                name: name.to_string_lossy().into_owned(),
                size,
            })
        })
        .collect()
}

pub(super) fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    |source| Error::Unreadable {
        path: path.display().to_string(),
        source,
    }
}

impl Attachment {
    /// Uploads it to a conversation: from where an earlier run was interrupted, if its content is the same.
    pub(super) async fn upload(
        &self,
        device: &mut Device,
        conversation: ConversationId,
    ) -> Result<FileReference, Error> {
        let unreadable = unreadable(&self.path);
        let Scan {
            media,
            sha256,
            parts,
        } = scan(&self.path).map_err(&unreadable)?;
        let names = (self.name.clone(), media.mime.to_owned());
        let upload = device.begin_upload(conversation, names, (self.size, sha256))?;
        let mut content = Content {
            file: fs::File::open(&self.path).map_err(&unreadable)?,
            name: &self.name,
            size: self.size,
            parts: parts.into_iter(),
            part: Vec::with_capacity(HEAD),
            taken: 0,
            read: 0,
            told: io::stderr().is_terminal().then(Instant::now),
        };
        let uploaded = device.upload(conversation, &upload, &mut content).await;
        content.end();
        let (w, h) = media.size.unzip();
        Ok(FileReference { w, h, ..uploaded? })
    }
}

/// What a file is.
struct Scan {
    media: Media,
    sha256: [u8; 32],
    /// The hash of each part of [`HEAD`] bytes.
    parts: Vec<[u8; 32]>,
}

// It blocks, in a process that does nothing else meanwhile.
fn scan(path: &Path) -> io::Result<Scan> {
    let mut content = fs::File::open(path)?;
    let mut hash = digest::Context::new(&SHA256);
    let (mut part, mut media, mut parts) = (Vec::with_capacity(HEAD), None, vec![]);
    loop {
        part.clear();
        let read = content.by_ref().take(HEAD as u64).read_to_end(&mut part)?;
        let media = media.get_or_insert_with(|| media::of(&part));
        if read == 0 {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(hash.finish().as_ref());
            return Ok(Scan {
                media: *media,
                sha256,
                parts,
            });
        }
        hash.update(&part);
        parts.push(sha256(&[&part]));
    }
}

/// Interval of progress reports.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// The content of a file that is being uploaded, as it was scanned: a key must not encrypt two contents, and what is
/// read now may have changed since. Tells on a terminal how far it is.
struct Content<'a> {
    file: fs::File,
    name: &'a str,
    size: u64,
    /// The hashes of the parts to come.
    parts: vec::IntoIter<[u8; 32]>,
    /// The part that is being taken.
    part: Vec<u8>,
    taken: usize,
    read: u64,
    /// When it was told last, if there is somebody to tell.
    told: Option<Instant>,
}

impl Content<'_> {
    /// Reads the next part.
    // It blocks, as above.
    fn next_part(&mut self) -> io::Result<()> {
        self.part.clear();
        self.taken = 0;
        let mut rest = self.file.by_ref().take(HEAD as u64);
        rest.read_to_end(&mut self.part)?;
        let expected = self.parts.next();
        if expected.is_none() && self.part.is_empty() {
            return Ok(());
        }
        if expected == Some(sha256(&[&self.part])) {
            return Ok(());
        }
        self.part.clear();
        Err(io::Error::other(
            "it was changed while it was sent: send it again",
        ))
    }

    fn tell(&mut self) {
        if self.told.is_some_and(|told| told.elapsed() >= TELL_EVERY) {
            self.told = Some(Instant::now());
            let percent = self.read * 100 / self.size.max(1);
            // Over what was told before.
            eprint!("\r{}: {percent} % of {} bytes", self.name, self.size);
        }
    }

    /// Makes room for what is printed next.
    fn end(&self) {
        if self.told.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

impl AsyncRead for Content<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.taken == self.part.len() {
            self.next_part()?;
        }
        let rest = self.part.get(self.taken..).unwrap_or_default();
        let taken = rest.len().min(into.remaining());
        into.put_slice(rest.get(..taken).unwrap_or(rest));
        self.taken += taken;
        self.read += taken as u64;
        self.tell();
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tokio::io::AsyncReadExt;

    use super::{Content, HEAD, scan};

    #[tokio::test]
    async fn only_what_was_hashed_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film");
        let before = vec![1; 2 * HEAD + 5];
        for (after, is_same) in [
            (before.clone(), true),
            (vec![1; 2 * HEAD], false),
            (vec![1; 2 * HEAD + 6], false),
            ([vec![1; HEAD], vec![2; HEAD + 5]].concat(), false),
        ] {
            fs::write(&path, &before).unwrap();
            let parts = scan(&path).unwrap().parts;
            fs::write(&path, &after).unwrap();
            let mut content = Content {
                file: fs::File::open(&path).unwrap(),
                name: "film",
                size: 0,
                parts: parts.into_iter(),
                part: vec![],
                taken: 0,
                read: 0,
                told: None,
            };
            let mut read = vec![];
            assert_eq!(content.read_to_end(&mut read).await.is_ok(), is_same);
            assert!(before.starts_with(&read));
        }
    }
}
