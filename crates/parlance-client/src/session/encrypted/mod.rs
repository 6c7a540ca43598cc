//! Encrypted conversations: sends what [`crate::e2ee`] creates, and checks the server's answers
//! before they are trusted. The verified data is in the [`State`](crate::e2ee::State), which is
//! passed to each call.

mod create;
mod epochs;
mod history;
mod invited;
mod log;
mod messages;
mod names;
mod people;
mod read;
mod rekey;
mod saved;
mod say;

pub use self::{
    invited::Invited,
    messages::Draft,
    names::ShownName,
    people::Met,
    read::{Reader, Received},
    rekey::NextEpoch,
    say::NewMessage,
};
