//! Creates conversations with their first epoch.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Epoch, Head},
    id::{ConversationId, UserId},
    key::PublicKey,
    request::{Signed, conversation, conversationgroup},
    text::DisplayName,
    time::Timestamp,
};

use super::epochs::members;
use crate::{
    answer::{self, Conversation},
    e2ee::{Maker, NewEpoch, SigningKey, State, first_epoch, seal_name},
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

    /// Creates a group of the user and some friends, with a name. The user is its admin.
    ///
    /// # Errors
    /// As for [`meet`](Self::meet); `NewIdentity`: of a friend, which has to be accepted first;
    /// `UnknownSigner`: the server shows no key of somebody. `StaleRoster`: somebody can only be
    /// invited, because they are no friend, for example.
    pub async fn begin_group(
        &self,
        state: &mut State,
        sign: &SigningKey,
        friends: &BTreeSet<UserId>,
        name: &str,
    ) -> Result<Conversation, Error> {
        let me = self.user();
        let users: BTreeSet<UserId> = friends.iter().copied().chain([me]).collect();
        let met = self.meet(state, &users).await?;
        state.pins.may_send(users.iter().copied())?;
        let members = members(&state.pins, &met.keys, &users)?;
        let maker = Maker {
            user: me,
            key: sign,
        };
        let head = Head {
            seq: 0,
            chain: None,
        };
        let id = ConversationId::random();
        let epoch = first_epoch(maker, id, members, [me].into(), head)?;
        let name = seal_name(id, Epoch::FIRST, &epoch.secret, (me, sign), name)?;
        let created = self.create_encrypted_group(&epoch, &met.keys, name).await?;
        state.set_epochs(id, epoch.accepted(), Timestamp::now());
        Ok(created.conversation)
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
