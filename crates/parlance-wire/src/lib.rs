//! The types that a server and its clients share: ids, times, checked text, keys, requests, signatures, the transcript's
//! chain, and what both check of end-to-end encryption. No I/O.
//!
//! Values are valid by construction: each type has one constructor, which checks.
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
//! // Both derive the same id for their conversation.
//! assert_eq!(ConversationId::between(ann, ben), ConversationId::between(ben, ann));
//! # Ok::<(), &str>(())
//! ```

pub mod chain;
pub mod e2ee;
pub mod history;
pub mod id;
pub mod kdf;
pub mod key;
pub mod list;
pub mod request;
#[cfg(any(test, feature = "schema"))]
pub mod schema;
pub mod signature;
pub mod text;
pub mod time;
pub mod version;
pub mod word;
