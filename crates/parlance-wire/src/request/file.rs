//! `srv=chatserver&api=chatfileserver`: encrypted files (docs/api.md, Files). All of it is ours, and
//! for v4 clients alone.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    e2ee::{hash::hash, sha256},
    id::{ConversationId, FileId},
    text::Instance,
    time::Timestamp,
};

/// Bytes of a record, the unit in which files are stored. The last record of a file may be shorter.
pub const RECORD: u64 = 256 << 10;
/// Maximum records in one `put`.
// 1 MiB, which common proxies accept without being configured for it.
pub const MAX_RECORDS: u64 = 4;
/// Maximum files of a message.
pub const MAX_FILES: usize = 32;

hash!(
    /// The SHA-256 of a body.
    BodyHash
);
hash!(
    /// The SHA-256 over the SHA-256 of each record of a file, in their order.
    FileDigest
);

impl BodyHash {
    /// The hash of these bytes.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        Self(sha256(&[body]))
    }
}

impl FileDigest {
    /// The digest of a file whose records have these hashes, one after the other.
    #[must_use]
    pub fn of(hashes: &[u8]) -> Self {
        Self(sha256(&[hashes]))
    }
}

/// The actions of this API.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Begins an upload. Repeating it returns which records the server has.
    Create {
        /// The conversation whose participants may read the file.
        conversationid: ConversationId,
        /// Its instance, as the caller knows it.
        instance: Instance,
        /// The file's id, chosen by the caller. Repeating it refers to the same upload.
        fileid: FileId,
        /// Its size in bytes, as it is stored: encrypted.
        size: u64,
        /// When its message will expire. Until it has a message, it is deleted by then, or after a
        /// day.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validuntil: Option<Timestamp>,
    },
    /// Stores records. They are the body; this object is in the header `Ozeki-Request`.
    Put(Put),
    /// Returns which records of an upload the server has.
    Status {
        /// The caller's own file.
        fileid: FileId,
    },
    /// Ends an upload: from then on the file can be read, and does not change any more.
    Complete {
        /// The caller's own file.
        fileid: FileId,
        /// The digest of all its records.
        digest: FileDigest,
    },
    /// Deletes a file, also one that belongs to a message.
    Delete {
        /// The caller's own file, or, for an admin of a group, anyone's.
        fileid: FileId,
    },
    /// Reads a file: a GET request, with this object in the header `Ozeki-Request`.
    Get {
        /// Any file that the caller may read.
        fileid: FileId,
    },
}

/// One to [`MAX_RECORDS`] whole records, which follow each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Put {
    /// The caller's own file, whose upload has begun.
    pub fileid: FileId,
    /// The number of the first record, from 0.
    pub record: u32,
    /// The hash of the body.
    pub sha256: BodyHash,
    /// The length of the body in bytes.
    pub length: u64,
}

/// Records that a client has not sent yet, or a server already has: from one number to another, both
/// included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Records {
    /// The number of the first one, from 0.
    pub first: u32,
    /// The number of the last one, itself included.
    pub last: u32,
}

impl Serialize for Records {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (self.first, self.last).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (first, last) = Deserialize::deserialize(from)?;
        if first > last {
            return Err(de::Error::custom("expected the first and the last record"));
        }
        Ok(Self { first, last })
    }
}

/// How a file of a size is divided into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    size: u64,
}

impl Layout {
    /// The layout of a file of this many bytes. Returns `None` for an empty file, or if it has more
    /// records than can be numbered.
    #[must_use]
    pub fn of(size: u64) -> Option<Self> {
        // The server stores a record's number as an `integer` of PostgreSQL, which has a sign.
        let is_possible = size > 0 && i32::try_from(size.div_ceil(RECORD)).is_ok();
        is_possible.then_some(Self { size })
    }

    /// Bytes of the file.
    #[must_use]
    pub fn size(self) -> u64 {
        self.size
    }

    /// Number of records.
    #[must_use]
    pub fn records(self) -> u32 {
        u32::try_from(self.size.div_ceil(RECORD)).unwrap_or(u32::MAX)
    }

    /// The records that a body of this length holds, if it begins with this one. Returns `None`
    /// unless they are whole records of the file, and at most [`MAX_RECORDS`].
    #[must_use]
    pub fn records_of(self, first: u32, length: u64) -> Option<Records> {
        let begin = u64::from(first) * RECORD;
        let end = begin.checked_add(length)?;
        let is_whole = end == self.size || end < self.size && end.is_multiple_of(RECORD);
        let count = length.div_ceil(RECORD);
        if !is_whole || count == 0 || count > MAX_RECORDS {
            return None;
        }
        // Cannot overflow: the body ends within the file, whose records `Layout::of` has limited.
        let last = first + u32::try_from(count - 1).ok()?;
        Some(Records { first, last })
    }
}

/// Reads a list of at most [`MAX_FILES`] ids.
pub(super) fn ids<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<FileId>, D::Error> {
    let ids = Option::<BTreeSet<_>>::deserialize(from)?.unwrap_or_default();
    if ids.len() > MAX_FILES {
        return Err(de::Error::custom(format_args!(
            "expected a list of at most {MAX_FILES} file ids"
        )));
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_holds_whole_records_of_the_file_and_at_most_four() {
        let layout = Layout::of(2 * RECORD + 10).unwrap();
        assert_eq!((layout.records(), layout.size()), (3, 2 * RECORD + 10));
        let held = |first, length| {
            let records = layout.records_of(first, length);
            records.map(|records| (records.first, records.last))
        };
        assert_eq!(held(0, RECORD), Some((0, 0)));
        assert_eq!(held(0, 2 * RECORD), Some((0, 1)));
        assert_eq!(held(0, 2 * RECORD + 10), Some((0, 2)));
        assert_eq!(held(1, RECORD + 10), Some((1, 2)));
        assert_eq!(held(2, 10), Some((2, 2)));
        for (first, length) in [
            (0, 0),
            (0, 10),
            (0, RECORD - 1),
            (0, RECORD + 1),
            (2, RECORD),
            (2, 9),
            (2, 0),
            (3, 1),
            (u32::MAX, RECORD),
            (0, u64::MAX),
        ] {
            assert_eq!(held(first, length), None, "{first}, {length}");
        }
        let large = Layout::of(9 * RECORD).unwrap();
        assert!(large.records_of(5, 4 * RECORD).is_some());
        assert!(large.records_of(4, 5 * RECORD).is_none());
        assert!(Layout::of(0).is_none() && Layout::of(u64::MAX).is_none());
    }

    #[test]
    fn ranges_are_pairs() {
        let records = Records { first: 2, last: 5 };
        assert_eq!(serde_json::to_string(&records).unwrap(), "[2,5]");
        assert_eq!(serde_json::from_str::<Records>("[2,5]").unwrap(), records);
        assert!(serde_json::from_str::<Records>("[5,2]").is_err());
    }
}
