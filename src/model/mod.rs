//! The nouns that every floor shares: ids, times, checked text, keys, rows. What is built here is
//! valid: each type has one constructor, which checks, so no floor above checks again.

pub mod chain;
pub mod id;
pub mod key;
pub mod rows;
pub mod text;
pub mod time;
