//! Availability, friends, blocks.

use parlance_wire::{
    id::UserId,
    request::{Signed, availability, blocklist, friends},
    text::Email,
};

use crate::{answer, error::Error, session::Session};

/// Availability, friends, blocks.
impl Session {
    /// Sets the user's availability.
    pub async fn set_availability(&self, state: availability::Action) -> Result<(), Error> {
        self.done(Signed::Availability(state)).await
    }

    /// The user's friends, and the requests to them.
    pub async fn friends(&self) -> Result<answer::Friends, Error> {
        self.call(Signed::Friends(friends::Action::List)).await
    }

    /// Requests a friendship by e-mail address, or accepts such a request.
    pub async fn add_friend(&self, email: &str) -> Result<(), Error> {
        let email = Email::parse(email).ok_or(Error::Invalid("the e-mail address"))?;
        self.done(Signed::Friends(friends::Action::Add {
            friendid: None,
            email: Some(email),
        }))
        .await
    }

    /// Accepts a request.
    pub async fn accept_friend(&self, friendid: UserId) -> Result<(), Error> {
        self.done(Signed::Friends(friends::Action::Accept { friendid }))
            .await
    }

    /// Ends a friendship, declines a request, or withdraws one.
    pub async fn remove_friend(&self, friendid: UserId) -> Result<(), Error> {
        self.done(Signed::Friends(friends::Action::Remove { friendid }))
            .await
    }

    /// The users and conversations that the user does not want to see.
    pub async fn blocklist(&self) -> Result<answer::Blocklist, Error> {
        self.call(Signed::Blocklist(blocklist::Action::Blocklist))
            .await
    }

    /// Blocks a user.
    pub async fn block(&self, userid: UserId) -> Result<(), Error> {
        self.done(Signed::Blocklist(blocklist::Action::Block { userid }))
            .await
    }

    /// Unblocks a user.
    pub async fn unblock(&self, userid: UserId) -> Result<(), Error> {
        self.done(Signed::Blocklist(blocklist::Action::Unblock { userid }))
            .await
    }
}
