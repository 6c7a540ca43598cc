//! Encrypted conversations: sends what [`crate::e2ee`] creates, and checks the server's answers
//! before they are trusted. The verified data is in the [`State`](crate::e2ee::State), which is
//! passed to each call.

mod create;
mod epochs;
mod log;
mod messages;
mod people;
mod read;
mod rekey;
mod say;

pub use self::{
    messages::Draft,
    people::Met,
    read::{Reader, Received},
    rekey::NextEpoch,
    say::NewMessage,
};
