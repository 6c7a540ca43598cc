//! Creates conversations with their first epoch.

use std::collections::BTreeMap;

use parlance_wire::{
    id::UserId,
    key::PublicKey,
    request::{Signed, conversation, conversationgroup},
    text::DisplayName,
};

use crate::{
    answer::{self, Conversation},
    e2ee::NewEpoch,
    error::Error,
    session::Session,
};

/// Creating encrypted conversations.
impl Session {
    /// Returns the direct conversation with a friend, created with its first epoch unless it
    /// exists.
    ///
    /// # Errors
    /// `StaleRoster`: the friend has a newer card, which [`meet`](Self::meet) fetches for another
    /// attempt.
    pub async fn create_encrypted(
        &self,
        friend: UserId,
        epoch: &NewEpoch,
        keys: &BTreeMap<UserId, PublicKey>,
        displaynames: BTreeMap<UserId, DisplayName>,
    ) -> Result<Conversation, Error> {
        let signed = epoch.announcement.clone();
        self.conversation(conversation::Action::Create {
            participantid: friend,
            secrets: epoch.wrap(keys)?,
            displaynames,
            announcement: Some(Box::new(signed.announcement)),
            signature: Some(signed.signature),
        })
        .await
    }

    /// Creates a group with its first epoch, which contains its id. All others are added, or
    /// nothing is done.
    ///
    /// # Errors
    /// `StaleRoster`: someone can only be invited; or someone has a newer card, which
    /// [`meet`](Self::meet) fetches for another attempt.
    pub async fn create_encrypted_group(
        &self,
        epoch: &NewEpoch,
        keys: &BTreeMap<UserId, PublicKey>,
        displayname: DisplayName,
    ) -> Result<answer::Group, Error> {
        let signed = epoch.announcement.clone();
        let secrets = epoch.wrap(keys)?;
        let others = secrets.keys().filter(|user| **user != self.user());
        let create = conversationgroup::Action::Create {
            displayname,
            participantids: others.copied().collect(),
            secrets,
            displaynames: BTreeMap::new(),
            announcement: Some(Box::new(signed.announcement)),
            signature: Some(signed.signature),
        };
        self.call(Signed::ConversationGroup(create)).await
    }
}
