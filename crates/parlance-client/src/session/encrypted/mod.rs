//! Encrypted conversations: what [`crate::e2ee`] makes is sent, and what the server answers is checked before it is
//! believed. What was checked is in the [`State`](crate::e2ee::State), which each call is given.

mod create;
mod epochs;
mod log;
mod messages;
mod people;

pub use self::{epochs::NextEpoch, messages::Draft, people::Met};
