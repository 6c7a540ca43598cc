//! The server's part of end-to-end encryption (docs/e2ee.md): cards, announcements of epochs, and the
//! key log. The server checks forms and signatures; it never has a secret.
//!
//! Signed content is canonical JSON (RFC 8785) and is sent as text, so that exactly the signed bytes
//! are verified. Parsing is strict: text that is not canonical, or has unknown fields, is refused.
//!
//! ```
//! use parlance_wire::{
//!     e2ee::{Card, Invalid, RsaKeyHash, ServerId, SignKey},
//!     text::Email,
//! };
//!
//! # fn main() -> Result<(), Invalid> {
//! # let key: SignKey = serde_json::from_str("\"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\"").map_err(Invalid::Json)?;
//! let email = Email::parse("ann@example.org").ok_or(Invalid::Owner)?;
//! let rsa = RsaKeyHash::of_der(b"a public key");
//! let first = Card::first(email, ServerId::random(), key, rsa)?;
//! assert_eq!(Card::parse(first.text())?, first);
//! // Not the canonical text of these fields.
//! assert!(Card::parse(&first.text().replace(':', ": ")).is_err());
//! # Ok(())
//! # }
//! ```

mod announcement;
pub mod canonical;
mod card;
mod encoding;
pub(crate) mod hash;
mod log;
mod sign;

use thiserror::Error;

pub use self::{
    announcement::{
        Announcement, Changes, Commitment, Epoch, Head, SignedAnnouncement, commitment,
    },
    card::{Card, CardSignatures, RsaSignature, SignedCard, Succession},
    hash::{AnnouncementHash, CardHash, LogRoot, MemberKey, RosterHash, RsaKeyHash, Tag, roster},
    log::{LOG_ENTRY_LEN, LogEntry, LogHead, SignedLogHead, Tree},
    sign::{SignKey, Signature},
};
pub use crate::id::ServerId;

/// Prefixes of texts that are signed or hashed, so that none can be taken for another kind. Each
/// ends with a line feed; the signed text of a request begins with `chatserver` or `chatowner`.
pub mod label {
    /// The prefix of a card.
    pub const CARD: &str = "parlance card 1\n";
    /// The prefix of an epoch's announcement.
    pub const EPOCH: &str = "parlance epoch 1\n";
    /// The prefix of an epoch's secret in its commitment.
    pub const SECRET: &str = "parlance secret 1\n";
    /// The prefix of server and user in a user's tag in the key log.
    pub const TAG: &str = "parlance tag 1\n";
    /// The prefix of a head of the key log.
    pub const LOG: &str = "parlance log 1\n";
}

/// The reasons why a card, an announcement or a part of the key log is invalid.
#[derive(Debug, Error)]
pub enum Invalid {
    /// Not JSON, or not the documented fields.
    #[error("not JSON of the documented form")]
    Json(#[source] serde_json::Error),
    /// JSON, but not as RFC 8785 writes it, so that two texts would have the same meaning.
    #[error("not canonical JSON")]
    NotCanonical,
    /// A number that is not an integer, or that not every implementation can represent.
    #[error("a number is not an integer between -(2^53 - 1) and 2^53 - 1")]
    Number,
    /// It exceeds the maximum size.
    #[error("too long")]
    TooLong,
    /// An unknown version.
    #[error("version {0} is not known")]
    Version(u32),
    /// The user's id is not that of the address.
    #[error("the user id does not belong to the e-mail address")]
    Owner,
    /// The number and the hash of the predecessor contradict each other, or do not match the
    /// predecessor.
    #[error("it does not follow the one before")]
    Order,
    /// The lists of an announcement contradict each other.
    #[error("the lists of users contradict each other")]
    Lists,
    /// The RSA key is not the one that the card names.
    #[error("the RSA key is not the one that the card names")]
    RsaKey,
    /// The signature by the Ed25519 key is missing or wrong.
    #[error("the signature by the signing key is wrong")]
    Signature,
    /// The signature by the RSA key is wrong.
    #[error("the signature by the RSA key is wrong")]
    RsaSignature,
    /// The signature by the predecessor's key is wrong.
    #[error("the signature by the predecessor's key is wrong")]
    PredecessorSignature,
    /// It was signed by a user other than its author.
    #[error("it names another user as its author")]
    Author,
}

/// Concatenates parts, each with its length in front (2 bytes, big-endian), so that different lists
/// of parts give different bytes.
///
/// # Errors
/// `TooLong`: a part has more than 65,535 bytes.
pub fn lp(parts: &[&[u8]]) -> Result<Vec<u8>, Invalid> {
    let mut bytes = vec![];
    for part in parts {
        let length = u16::try_from(part.len()).map_err(|_| Invalid::TooLong)?;
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Ok(bytes)
}

/// SHA-256 of the concatenated parts.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}
