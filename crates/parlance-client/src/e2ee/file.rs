//! Files: encrypted record by record (docs/e2ee.md, Files), so that neither side ever holds a whole one.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest::{Context, SHA256},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::sha256,
    request::file::{FileDigest, RECORD},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use zeroize::Zeroizing;

use super::{Error, FileReference, cipher::secret_key};

/// Bytes of content in a record.
// With its tag, a record has 256 KiB, which is what a server stores and addresses.
pub const RECORD_CONTENT: usize = 262_128;
/// Bytes by which encryption makes a record longer.
const TAG: usize = 16;
// Without ids: the key is this file's alone, and the nonce is bound to the record's place.
const AAD: &str = "parlance file 1";

secret_key!(
    random
    /// The key of one file: new for each, and used for the same content only.
    FileKey
);

impl FileKey {
    /// Its form in a message's `key`: base64.
    #[must_use]
    pub fn to_text(&self) -> String {
        STANDARD.encode(self.0.as_ref())
    }

    /// Returns `None` if the text is no key.
    fn from_text(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        let length = STANDARD.decode_slice(text, &mut key).ok()?;
        (length == key.len()).then(|| Self::from_bytes(&key))
    }

    fn cipher(&self) -> Result<LessSafeKey, Error> {
        let key = UnboundKey::new(&AES_256_GCM, self.0.as_ref()).map_err(|_| Error::Crypto)?;
        Ok(LessSafeKey::new(key))
    }
}

// For a file that only its owner can read (`Upload`).
impl Serialize for FileKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for FileKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::from_text(&text).ok_or_else(|| D::Error::custom("not a file's key"))
    }
}

/// The length of a file of `length` bytes with its padding, by Padmé: a length with so few
/// significant bits that it tells little, and at most an eighth more.
#[must_use]
pub fn padded(length: u64) -> u64 {
    let Some(exponent) = length.checked_ilog2().filter(|exponent| *exponent > 0) else {
        return length;
    };
    // Padmé (docs/e2ee.md, Files): the padded length shows only the first bits of the true one.
    let significant = exponent.ilog2() + 1;
    let mask = (1_u64 << (exponent - significant)) - 1;
    length.saturating_add(mask) & !mask
}

/// The number of a file's records, and its padded length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of records, at least one.
    pub records: u32,
    /// Bytes of content and padding.
    pub padded: u64,
}

impl Shape {
    /// Of a file with this many bytes of content, padded.
    ///
    /// # Errors
    /// `TooLong`.
    pub fn of(length: u64) -> Result<Self, Error> {
        Self::unpadded(padded(length))
    }

    /// Of a file with this many bytes, padding included.
    fn unpadded(padded: u64) -> Result<Self, Error> {
        // An empty file has one, empty record, which says that the file ends there.
        let records = padded.div_ceil(RECORD_CONTENT as u64).max(1);
        // No more than the server can number: it has an `integer` of PostgreSQL for that.
        let records = i32::try_from(records).map_err(|_| Error::TooLong)?;
        Ok(Self {
            records: records.unsigned_abs(),
            padded,
        })
    }

    /// Bytes of all records, as a server stores them.
    #[must_use]
    pub fn stored(self) -> u64 {
        self.padded + u64::from(self.records) * TAG as u64
    }

    /// Bytes of content and padding in a record.
    #[must_use]
    pub fn content_of(self, record: u32) -> usize {
        let before = u64::from(record) * RECORD_CONTENT as u64;
        let rest = usize::try_from(self.padded.saturating_sub(before)).unwrap_or(usize::MAX);
        rest.min(RECORD_CONTENT)
    }

    fn is_last(self, record: u32) -> bool {
        record + 1 == self.records
    }
}

/// Seals the records of a file, one after the other.
pub struct Sealer {
    cipher: LessSafeKey,
    shape: Shape,
    next: u32,
    hashes: Context,
}

impl Sealer {
    /// For a file of this shape.
    ///
    /// # Errors
    /// `Crypto`.
    pub fn new(key: &FileKey, shape: Shape) -> Result<Self, Error> {
        Ok(Self {
            cipher: key.cipher()?,
            shape,
            next: 0,
            hashes: Context::new(&SHA256),
        })
    }

    /// Seals the next record in place: its content, and zeros to the length that
    /// [`Shape::content_of`] says. Returns the record's hash.
    ///
    /// # Errors
    /// `TooLong`: it has another length, or there are no more records.
    pub fn seal(&mut self, content: &mut Vec<u8>) -> Result<[u8; 32], Error> {
        let number = self.next;
        if number >= self.shape.records || content.len() != self.shape.content_of(number) {
            return Err(Error::TooLong);
        }
        seal(&self.cipher, number, self.shape.is_last(number), content)?;
        self.next += 1;
        let hash = sha256(&[content]);
        self.hashes.update(&hash);
        Ok(hash)
    }

    /// The digest, once all records are sealed.
    ///
    /// # Errors
    /// `Malformed`, before.
    pub fn digest(self) -> Result<FileDigest, Error> {
        if self.next != self.shape.records {
            return Err(Error::Malformed("a file without its end"));
        }
        Ok(digest(self.hashes))
    }
}

fn seal(
    cipher: &LessSafeKey,
    number: u32,
    is_last: bool,
    content: &mut Vec<u8>,
) -> Result<(), Error> {
    cipher
        .seal_in_place_append_tag(nonce(number, is_last), Aad::from(AAD), content)
        .map_err(|_| Error::Crypto)
}

/// Opens the records of a file, one after the other, and checks that they are all of it.
pub struct Opener {
    cipher: LessSafeKey,
    shape: Shape,
    size: u64,
    expected: FileDigest,
    next: u32,
    hashes: Context,
}

impl Opener {
    /// For the file that a message refers to, of which a server stores this many bytes.
    ///
    /// # Errors
    /// `Malformed`: the reference or the stored size is not that of a file.
    pub fn new(reference: &FileReference, stored: u64) -> Result<Self, Error> {
        let malformed = Error::Malformed("the file");
        let Some(key) = FileKey::from_text(&reference.key) else {
            return Err(malformed);
        };
        let expected: FileDigest = serde_json::from_value(reference.digest.as_str().into())
            .map_err(|_| Error::Malformed("the file"))?;
        let records = stored.div_ceil(RECORD);
        let padded = stored.checked_sub(records * TAG as u64);
        let shape = Shape::unpadded(padded.ok_or(malformed)?)?;
        // This also refuses a size that no file has: one whose last record is shorter than its tag.
        if u64::from(shape.records) != reference.records
            || shape.stored() != stored
            || reference.size > shape.padded
        {
            return Err(Error::DamagedFile);
        }
        Ok(Self {
            cipher: key.cipher()?,
            shape,
            size: reference.size,
            expected,
            next: 0,
            hashes: Context::new(&SHA256),
        })
    }

    /// Number of records that were opened: the number of the next one.
    #[must_use]
    pub fn opened(&self) -> u32 {
        self.next
    }

    /// Opens the next record in place. What is left of it is content, without padding.
    ///
    /// # Errors
    /// `DamagedFile`: it is not this record of this file, or its padding is not zeros.
    pub fn open(&mut self, record: &mut Vec<u8>) -> Result<(), Error> {
        let number = self.next;
        if number >= self.shape.records || record.len() != self.shape.content_of(number) + TAG {
            return Err(Error::DamagedFile);
        }
        // Of the record as it is stored: it is opened in place below.
        let hash = sha256(&[record]);
        let nonce = nonce(number, self.shape.is_last(number));
        let length = self
            .cipher
            .open_in_place(nonce, Aad::from(AAD), record)
            .map_err(|_| Error::DamagedFile)?
            .len();
        let before = u64::from(number) * RECORD_CONTENT as u64;
        let content = usize::try_from(self.size.saturating_sub(before)).unwrap_or(usize::MAX);
        record.truncate(length);
        let padding = record.split_off(content.min(length));
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Error::DamagedFile);
        }
        self.hashes.update(&hash);
        self.next += 1;
        Ok(())
    }

    /// Checks that the file is complete.
    ///
    /// # Errors
    /// `DamagedFile`: records are missing; `DifferentFile`: it has another digest.
    pub fn finish(self) -> Result<(), Error> {
        if self.next != self.shape.records {
            return Err(Error::DamagedFile);
        }
        if digest(self.hashes) != self.expected {
            return Err(Error::DifferentFile);
        }
        Ok(())
    }
}

fn digest(hashes: Context) -> FileDigest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hashes.finish().as_ref());
    FileDigest::from_bytes(bytes)
}

/// 7 zeros, the record's number, and whether it is the last one.
fn nonce(number: u32, is_last: bool) -> Nonce {
    // Used once, as the key is this file's alone. The last byte is why a file that was cut off
    // behind a record does not open.
    let [a, b, c, d] = number.to_be_bytes();
    let bytes: [u8; NONCE_LEN] = [0, 0, 0, 0, 0, 0, 0, a, b, c, d, u8::from(is_last)];
    Nonce::assume_unique_for_key(bytes)
}

/// Seals a record as if it were another one, for tests of what must be refused.
#[cfg(all(test, feature = "password"))]
pub(super) fn seal_as(
    key: &FileKey,
    number: u32,
    is_last: bool,
    content: &mut Vec<u8>,
) -> Result<(), Error> {
    seal(&key.cipher()?, number, is_last, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_adds_little_and_leaves_few_lengths() {
        for (length, expected) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (9, 10),
            (1_000, 1_024),
            (300_000, 303_104),
            (104_857_600, 104_857_600),
            (104_857_601, 106_954_752),
        ] {
            assert_eq!(padded(length), expected, "{length}");
        }
        for length in (1..5_000_000).step_by(997) {
            let padded = padded(length);
            assert!(
                padded >= length && (padded - length) * 8 <= length,
                "{length}"
            );
            assert_eq!(super::padded(padded), padded);
        }
    }
}
