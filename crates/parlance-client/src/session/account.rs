//! The user's own account, and whom they invite to the server.

use parlance_wire::{
    id::InviteId,
    key::Credential,
    request::{PageSize, Signed, account::Action},
    text::{Email, FullName, Nick},
    time::Timestamp,
};

use crate::{answer, error::Error, session::Session};

/// Invitations to the server.
impl Session {
    /// Makes an invitation for this many people (1 to 100), or for one address. Whoever uses it becomes a friend.
    pub async fn invite(
        &self,
        email: Option<&str>,
        uses: usize,
        expires: Option<Timestamp>,
    ) -> Result<answer::NewInvite, Error> {
        let email = email
            .map(|email| Email::parse(email).ok_or(Error::Invalid("the e-mail address")))
            .transpose()?;
        self.call(Signed::Account(Action::Invite {
            email,
            uses: PageSize(Some(uses)),
            expires,
        }))
        .await
    }

    /// The user's newest invitations.
    pub async fn invites(&self) -> Result<answer::Invites, Error> {
        self.call(Signed::Account(Action::Invites)).await
    }

    /// Revokes an invitation. Who has registered with it stays.
    pub async fn revoke_invite(&self, inviteid: InviteId) -> Result<(), Error> {
        self.done(Signed::Account(Action::RevokeInvite { inviteid }))
            .await
    }
}

/// The user's own account.
impl Session {
    /// Changes how the user is called; what is `None` stays.
    pub async fn change_names(
        &self,
        fullname: Option<&str>,
        nick: Option<&str>,
    ) -> Result<answer::Profile, Error> {
        let fullname = fullname
            .map(|name| FullName::parse(name).ok_or(Error::Invalid("the full name")))
            .transpose()?;
        let nick = nick
            .map(|name| Nick::parse(name).ok_or(Error::Invalid("the short name")))
            .transpose()?;
        self.call(Signed::Account(Action::Profile { fullname, nick }))
            .await
    }

    /// Everything that the server has of the user, as the server writes it (docs/api.md). It may be long.
    pub async fn export(&self) -> Result<serde_json::Value, Error> {
        self.call(Signed::Account(Action::Export)).await
    }

    /// Deletes the user's account, for good, with one of its apikeys.
    pub async fn delete_account(&self, apikey: &str) -> Result<(), Error> {
        let apikey = Credential::new(apikey.to_owned()).ok_or(Error::Invalid("the apikey"))?;
        self.done(Signed::Account(Action::Delete { apikey })).await
    }
}
