//! A user at a station, and all signed calls.

mod account;
mod conversations;
mod encrypted;
mod files;
mod groups;
mod keys;
mod people;

pub use self::{
    encrypted::{Draft, Invited, Met, NewMessage, NextEpoch, Reader, Received, ShownName},
    files::Upload,
};

use std::sync::Arc;

use parlance_wire::{
    id::{MessageId, Receipt, UserId},
    key::Credential,
    request::{
        Api, Signed,
        conversation::{self, SentMessage},
        notification, workspace,
    },
    text::{Data, MessageType, WorkspaceName},
    time::Timestamp,
};
use serde::de::DeserializeOwned;

use crate::{
    answer::{self, Conversation, Done},
    call::Call,
    e2ee::{self, Announcement, EpochSecret, SignKey, open_secret},
    error::Error,
    keys::KeyPair,
    retry::is_repeatable,
    server::Server,
    signing::Identity,
};

/// A user who is logged in at a station.
#[derive(Debug, Clone)]
pub struct Session {
    pub(crate) server: Server,
    pub(crate) identity: Identity,
    pub(crate) login: answer::Login,
    /// The user's pairs before the present one, newest first: secrets of older epochs are wrapped
    /// for them.
    // Shared, as sessions can be cloned, and key pairs cannot.
    earlier: Arc<[KeyPair]>,
    /// The user's signing key according to their vault, if they have one.
    sign: Option<SignKey>,
}

/// A new message of type `Message`, written now, with a new id. Sending it twice stores it once.
///
/// # Errors
/// `Invalid`, if `data` is not printable ASCII, as base64 is.
pub fn message(data: &str) -> Result<SentMessage, Error> {
    Ok(SentMessage {
        id: MessageId::random(),
        r#type: MessageType::parse("Message").ok_or(Error::Invalid("the type"))?,
        created: Timestamp::now(),
        valid_until: None,
        data: Data::parse(data.to_owned()).ok_or(Error::Invalid("the data"))?,
    })
}

impl Session {
    pub(crate) fn new(server: Server, identity: Identity, login: answer::Login) -> Self {
        Self {
            server,
            identity,
            login,
            earlier: Arc::new([]),
            sign: None,
        }
    }

    /// The same with what a vault has: the user's pairs before the present one, newest first, and
    /// the signing key.
    #[cfg(feature = "password")]
    pub(crate) fn with_vault(self, earlier: Vec<KeyPair>, sign: SignKey) -> Self {
        Self {
            earlier: earlier.into(),
            sign: Some(sign),
            ..self
        }
    }

    /// Opens the user's copy of an announced secret, which may be wrapped for an earlier pair.
    fn open_secret(
        &self,
        announcement: &Announcement,
        wrapped: &str,
    ) -> Result<EpochSecret, e2ee::Error> {
        // Nothing says for which pair it was wrapped, so each is tried.
        let present = open_secret(announcement, wrapped, &self.identity.pair);
        present.or_else(|error| {
            let mut earlier = self.earlier.iter();
            earlier
                .find_map(|pair| open_secret(announcement, wrapped, pair).ok())
                .ok_or(error)
        })
    }

    /// Opens the user's copy of a secret that nobody has announced, which may be wrapped for an
    /// earlier pair, too.
    fn open_published_secret(&self, wrapped: &str) -> Option<EpochSecret> {
        let mut pairs = std::iter::once(&*self.identity.pair).chain(self.earlier.iter());
        pairs.find_map(|pair| EpochSecret::unwrap(wrapped, pair).ok())
    }

    /// The user's id.
    #[must_use]
    pub fn user(&self) -> UserId {
        self.identity.user
    }

    /// The identity that signs.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The answer to the login.
    #[must_use]
    pub fn login(&self) -> &answer::Login {
        &self.login
    }

    async fn call<T: DeserializeOwned>(&self, action: Signed<Credential>) -> Result<T, Error> {
        match &action {
            Signed::Account(one) => self.send(Api::Login, one, &action).await,
            Signed::Availability(one) => self.send(Api::Availability, one, &action).await,
            Signed::Friends(one) => self.send(Api::Friends, one, &action).await,
            Signed::Conversation(one) => self.send(Api::Conversation, one, &action).await,
            Signed::ConversationGroup(one) => self.send(Api::ConversationGroup, one, &action).await,
            Signed::Reports(one) => self.send(Api::Reports, one, &action).await,
            Signed::Blocklist(one) => self.send(Api::Blocklist, one, &action).await,
            Signed::Keys(one) => self.send(Api::Keys, one, &action).await,
            Signed::File(one) => self.send(Api::File, one, &action).await,
        }
    }

    // `one` is what is sent, without the enum around it; `action` tells whether it may be repeated.
    async fn send<A: serde::Serialize, T: DeserializeOwned>(
        &self,
        api: Api,
        one: &A,
        action: &Signed<Credential>,
    ) -> Result<T, Error> {
        let call = Call::new(&self.server, api, one).signed(&self.identity);
        let call = if is_repeatable(action) {
            call
        } else {
            call.once()
        };
        call.send().await
    }

    async fn conversation(&self, action: conversation::Action) -> Result<Conversation, Error> {
        let answer: answer::OneConversation = self.call(Signed::Conversation(action)).await?;
        Ok(answer.conversation)
    }

    async fn done(&self, action: Signed<Credential>) -> Result<(), Error> {
        let Done {} = self.call(action).await?;
        Ok(())
    }
}

/// Notifications, workspaces.
impl Session {
    /// The station's pending notifications. `received` is the receipt of the newest answer that arrived: until it is
    /// named, the server repeats that answer.
    pub async fn poll(&self, received: Option<Receipt>) -> Result<answer::Notification, Error> {
        let action = notification::Action::Download { received };
        Call::new(&self.server, Api::Notification, &action)
            .signed(&self.identity)
            .send()
            .await
    }

    /// Registers a host name for the user.
    pub async fn register_workspace(&self, workspacename: WorkspaceName) -> Result<(), Error> {
        let action = workspace::Action::WorkspaceRegister { workspacename };
        let Done {} = Call::new(&self.server, Api::Workspace, &action)
            .signed(&self.identity)
            .send()
            .await?;
        Ok(())
    }
}
