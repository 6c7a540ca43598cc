//! End-to-end encryption, as far as the server takes part (docs/e2ee.md): cards, announcements of epochs, and the key
//! log. The server checks forms and signatures; it never has a secret.
//!
//! What is signed is canonical JSON (RFC 8785) and travels as text, so that what is verified is what was signed, byte
//! for byte. Each type parses strictly: what is not canonical, or has a field too many, is refused.
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
//! // Not the one text that these fields have.
//! assert!(Card::parse(&first.text().replace(':', ": ")).is_err());
//! # Ok(())
//! # }
//! ```

mod announcement;
pub mod canonical;
mod card;
mod encoding;
mod hash;
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

/// What stands before a text that is signed or hashed, so that none can be taken for another. Each ends with a line feed;
/// a request's signed text begins with `chatserver` or `chatowner`.
pub mod label {
    /// Before a card.
    pub const CARD: &str = "parlance card 1\n";
    /// Before the announcement of an epoch.
    pub const EPOCH: &str = "parlance epoch 1\n";
    /// Before an epoch's secret, where it is committed to.
    pub const SECRET: &str = "parlance secret 1\n";
    /// Before server and user, where the key log names a user.
    pub const TAG: &str = "parlance tag 1\n";
    /// Before a head of the key log.
    pub const LOG: &str = "parlance log 1\n";
}

/// Why a card, an announcement or a piece of the key log is not valid.
#[derive(Debug, Error)]
pub enum Invalid {
    /// Not JSON, or not of the documented fields.
    #[error("not JSON of the documented form")]
    Json(#[source] serde_json::Error),
    /// JSON, but not written as RFC 8785 writes it: two texts would say the same.
    #[error("not canonical JSON")]
    NotCanonical,
    /// A number that is no integer, or not one that every implementation can hold.
    #[error("a number is not an integer between -(2^53 - 1) and 2^53 - 1")]
    Number,
    /// More bytes than this may have.
    #[error("too long")]
    TooLong,
    /// A version that this software does not know.
    #[error("version {0} is not known")]
    Version(u32),
    /// The user's id is not that of the address.
    #[error("the user id does not belong to the e-mail address")]
    Owner,
    /// The number and the hash of what came before contradict each other, or do not follow on.
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
    /// There is a signature by the predecessor's key, and it is wrong.
    #[error("the signature by the predecessor's key is wrong")]
    PredecessorSignature,
    /// It was signed by another user than it names.
    #[error("it names another user as its author")]
    Author,
}

/// The parts, each with its length before it, 2 bytes big-endian: no two lists of parts make the same bytes.
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

/// SHA-256 of the parts, one after the other.
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
