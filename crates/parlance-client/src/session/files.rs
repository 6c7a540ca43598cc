//! Files: uploads, which go on where they were interrupted, and downloads. Neither holds more than a
//! few records in memory.

use parlance_wire::{
    id::FileId,
    request::{
        Api, Signed,
        file::{Action, BodyHash, MAX_RECORDS, Put, RECORD, Records},
    },
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Session;
use crate::{
    answer::{self, Conversation},
    call::{Call, Part},
    e2ee::{
        self, FileReference,
        file::{FileKey, Opener, Sealer, Shape},
    },
    error::Error,
};

/// Records that are read with one request: 4 MiB.
// Few round trips, and little memory.
const RECORDS_READ: u64 = 16;

/// A file to be uploaded, and its key. Keep it, where nobody else can read it, to continue an interrupted
/// upload; [`Device::begin_upload`](crate::Device::begin_upload) does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upload {
    /// Its id on the server.
    pub id: FileId,
    key: FileKey,
    /// Its name, which readers see.
    pub name: String,
    /// Its media type, which readers see.
    pub mime: String,
    /// Its length in bytes.
    pub size: u64,
    /// When its message will expire, if that is known.
    pub valid_until: Option<Timestamp>,
}

impl Upload {
    /// A new file of this length, with an id and a key of its own.
    ///
    /// # Errors
    /// `Encryption`: there are no random numbers.
    pub fn new(name: String, mime: String, size: u64) -> Result<Self, Error> {
        Ok(Self {
            id: FileId::random(),
            key: FileKey::generate()?,
            name,
            mime,
            size,
            valid_until: None,
        })
    }
}

/// Records that are on their way to the server.
#[derive(Default)]
struct Batch {
    first: u32,
    bytes: Vec<u8>,
}

/// Uploading and downloading encrypted files.
impl Session {
    /// Uploads a file to a conversation. Returns the reference for a message. After a failure it
    /// can be called again with the same upload and **the same content**, from its beginning:
    /// records that the server has are encrypted again, for the digest, and not sent again.
    ///
    /// # Errors
    /// `Refused`, with `TooLarge`, `QuotaExceeded` or `DiskFull` before a byte is sent, and with `FileConflict`
    /// if the content is not what was sent before; `File`: the content cannot be read; `Invalid`: it has
    /// another length.
    pub async fn send_file(
        &self,
        conversation: &Conversation,
        upload: &Upload,
        content: &mut (impl AsyncRead + Unpin),
    ) -> Result<FileReference, Error> {
        let shape = Shape::of(upload.size)?;
        let begun: answer::Upload = self
            .call(Signed::File(Action::Create {
                conversationid: conversation.id,
                instance: conversation.instance.clone(),
                fileid: upload.id,
                size: shape.stored(),
                validuntil: upload.valid_until,
            }))
            .await?;
        let has = |number: u32| {
            let mut have = begun.have.iter();
            have.any(|range: &Records| (range.first..=range.last).contains(&number))
        };
        let mut sealer = Sealer::new(&upload.key, shape)?;
        let (mut batch, mut left) = (Batch::default(), upload.size);
        for number in 0..shape.records {
            let mut record = record_of(content, &mut left, shape.content_of(number)).await?;
            sealer.seal(&mut record)?;
            let is_full = batch.bytes.len() as u64 >= MAX_RECORDS * RECORD;
            // The records of a request follow each other, so one that is there ends the batch.
            if is_full || has(number) {
                self.put(upload.id, std::mem::take(&mut batch)).await?;
            }
            if !has(number) {
                if batch.bytes.is_empty() {
                    batch.first = number;
                }
                batch.bytes.append(&mut record);
            }
        }
        // A file that has grown meanwhile: the message would give a wrong length.
        if content.read(&mut [0]).await.map_err(Error::File)? > 0 {
            return Err(Error::Invalid("the file's length"));
        }
        self.put(upload.id, batch).await?;
        let digest = sealer.digest()?;
        self.done(Signed::File(Action::Complete {
            fileid: upload.id,
            digest,
        }))
        .await?;
        Ok(FileReference {
            id: upload.id,
            name: upload.name.clone(),
            mime: upload.mime.clone(),
            size: upload.size,
            records: shape.records.into(),
            key: upload.key.to_text(),
            digest: digest.to_string(),
            // Optional, and only known to a client that decodes the media.
            w: None,
            h: None,
            ms: None,
            thumb: None,
            wave: None,
        })
    }

    async fn put(&self, fileid: FileId, batch: Batch) -> Result<(), Error> {
        if batch.bytes.is_empty() {
            return Ok(());
        }
        let put = Action::Put(Put {
            fileid,
            record: batch.first,
            sha256: BodyHash::of(&batch.bytes),
            length: batch.bytes.len() as u64,
        });
        let answer::Upload { .. } = Call::new(&self.server, Api::File, &put)
            .signed(&self.identity)
            .records(&batch.bytes)
            .send()
            .await?;
        Ok(())
    }

    /// Reads the file that a message refers to. Each record is checked before it is written;
    /// whether the file is complete is known only when this returns.
    ///
    /// # Errors
    /// `Refused`, with `FileNotFound`; `Encryption`, with `DamagedFile` or `DifferentFile`; `File`: it cannot
    /// be written.
    pub async fn fetch_file(
        &self,
        file: &FileReference,
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), Error> {
        let mut part = self.part(file.id, 0).await?;
        let mut opener = Opener::new(file, part.total)?;
        let record = usize::try_from(RECORD).unwrap_or(usize::MAX);
        loop {
            let before = opener.opened();
            for sealed in part.bytes.chunks(record) {
                let mut content = sealed.to_vec();
                opener.open(&mut content)?;
                to.write_all(&content).await.map_err(Error::File)?;
            }
            if u64::from(opener.opened()) == file.records {
                to.flush().await.map_err(Error::File)?;
                return Ok(opener.finish()?);
            }
            // A server that sends nothing would be asked for ever.
            if opener.opened() == before {
                return Err(e2ee::Error::DamagedFile.into());
            }
            part = self.part(file.id, opener.opened()).await?;
        }
    }

    /// Some records, from this one on.
    async fn part(&self, fileid: FileId, record: u32) -> Result<Part, Error> {
        let first = u64::from(record) * RECORD;
        let get = Action::Get { fileid };
        Call::new(&self.server, Api::File, &get)
            .signed(&self.identity)
            .read(fileid, first..first + RECORDS_READ * RECORD)
            .await
    }

    /// Deletes one of the user's files, or, as an admin of a group, anyone's.
    ///
    /// # Errors
    /// `Refused`, with `FileNotFound` or `NotAllowed`.
    pub async fn delete_file(&self, fileid: FileId) -> Result<(), Error> {
        self.done(Signed::File(Action::Delete { fileid })).await
    }
}

/// The next record's content, padded to this length. `left`: bytes of content that follow.
async fn record_of(
    content: &mut (impl AsyncRead + Unpin),
    left: &mut u64,
    length: usize,
) -> Result<Vec<u8>, Error> {
    // Room for the tag, so that sealing moves nothing.
    let mut record = Vec::with_capacity(length + 16);
    let wanted = (*left).min(length as u64);
    let read = content.take(wanted).read_to_end(&mut record).await;
    if read.map_err(Error::File)? as u64 != wanted {
        return Err(Error::Invalid("the file's length"));
    }
    *left -= wanted;
    record.resize(length, 0);
    Ok(record)
}
