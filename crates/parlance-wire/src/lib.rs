//! The words that a server and its clients share: ids, times, checked text, keys, the transcript's chain. What is
//! built here is valid: each type has one constructor, which checks, so nobody checks again. No I/O.

pub mod chain;
pub mod id;
pub mod key;
pub mod text;
pub mod time;
pub mod version;
