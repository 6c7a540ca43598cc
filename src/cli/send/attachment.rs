//! Files that go with a message.

use std::{
    fs,
    io::{self, IsTerminal, Read},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use aws_lc_rs::digest::{self, SHA256};
use tokio::{
    fs::File,
    io::{AsyncRead, ReadBuf},
};

use super::{
    super::Error,
    media::{self, HEAD, Media},
};
use parlance_client::{ConversationId, Device, e2ee::FileReference};
use parlance_wire::request::file::MAX_FILES;

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
        let (media, sha256) = look_through(&self.path).map_err(&unreadable)?;
        let names = (self.name.clone(), media.mime.to_owned());
        let upload = device.begin_upload(conversation, names, (self.size, sha256))?;
        let mut content = Progress {
            content: File::open(&self.path).await.map_err(&unreadable)?,
            name: &self.name,
            size: self.size,
            read: 0,
            told: io::stderr().is_terminal().then(Instant::now),
        };
        let uploaded = device.upload(conversation, &upload, &mut content).await;
        content.end();
        let (w, h) = media.size.unzip();
        Ok(FileReference { w, h, ..uploaded? })
    }
}

/// What a file is, and the hash of its content.
// It blocks, in a process that does nothing else meanwhile.
fn look_through(path: &Path) -> io::Result<(Media, [u8; 32])> {
    let mut content = fs::File::open(path)?;
    let mut hash = digest::Context::new(&SHA256);
    let (mut part, mut media) = (Vec::with_capacity(HEAD), None);
    loop {
        part.clear();
        let read = content.by_ref().take(HEAD as u64).read_to_end(&mut part)?;
        let media = media.get_or_insert_with(|| media::of(&part));
        if read == 0 {
            let mut sha256 = [0; 32];
            sha256.copy_from_slice(hash.finish().as_ref());
            return Ok((*media, sha256));
        }
        hash.update(&part);
    }
}

/// Interval of progress reports.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// The content of a file that is being uploaded; tells on a terminal how far it is.
struct Progress<'a> {
    content: File,
    name: &'a str,
    size: u64,
    read: u64,
    /// When it was told last, if there is somebody to tell.
    told: Option<Instant>,
}

impl Progress<'_> {
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

impl AsyncRead for Progress<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.content).poll_read(context, into))?;
        self.read += (into.filled().len() - before) as u64;
        self.tell();
        Poll::Ready(Ok(()))
    }
}
