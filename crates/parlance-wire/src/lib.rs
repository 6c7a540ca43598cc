//! The words that a server and its clients share: ids, times, checked text, keys, requests, signatures, and the
//! transcript's chain. No I/O.
//!
//! What is built here is valid: each type has one constructor, which checks, so nobody checks again.
//!
//! ```
//! use parlance_wire::{
//!     id::{ConversationId, UserId},
//!     text::Email,
//! };
//!
//! let ann = UserId::of(&Email::parse(" Ann@Example.org ").ok_or("no address")?);
//! let ben = UserId::of(&Email::parse("ben@example.org").ok_or("no address")?);
//! assert_eq!(ann.to_string(), "8b5a6a28fc840441be692d74a81ccd1a");
//! // Whoever creates their conversation, it has the same id.
//! assert_eq!(ConversationId::between(ann, ben), ConversationId::between(ben, ann));
//! # Ok::<(), &str>(())
//! ```

pub mod chain;
pub mod id;
pub mod kdf;
pub mod key;
pub mod request;
pub mod signature;
pub mod text;
pub mod time;
pub mod version;
pub mod word;
