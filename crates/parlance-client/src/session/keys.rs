//! Cards, the key log, and epochs. The answers are unverified until the client has checked them
//! (docs/e2ee.md).

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{Epoch, SignedCard},
    id::{ConversationId, UserId},
    request::{
        PageSize, Signed, conversation,
        epoch::{Rekey, ShareEpochs},
        keys,
    },
};

use crate::{
    answer::{self, Conversation},
    error::Error,
    session::Session,
};

/// Cards, public keys and the key log.
impl Session {
    /// Publishes the user's next card.
    pub async fn publish_card(&self, card: SignedCard) -> Result<(), Error> {
        self.done(Signed::Keys(keys::Action::Publish(Box::new(card))))
            .await
    }

    /// The cards of at most 1,000 users, each after the number in `after`.
    pub async fn cards(
        &self,
        userids: BTreeSet<UserId>,
        after: BTreeMap<UserId, u32>,
    ) -> Result<answer::Cards, Error> {
        self.call(Signed::Keys(keys::Action::Get { userids, after }))
            .await
    }

    /// The key log after the first `after` entries.
    pub async fn key_log(&self, after: u32) -> Result<answer::KeyLogPage, Error> {
        self.call(Signed::Keys(keys::Action::Log { after })).await
    }

    /// Begins a conversation's next epoch.
    pub(super) async fn send_rekey(&self, rekey: Rekey) -> Result<Conversation, Error> {
        self.conversation(conversation::Action::Rekey(Box::new(rekey)))
            .await
    }

    /// The epochs of a conversation before one, or the newest.
    pub async fn epochs(
        &self,
        conversationid: ConversationId,
        before: Option<Epoch>,
    ) -> Result<answer::Epochs, Error> {
        self.call(Signed::Conversation(conversation::Action::Epochs {
            conversationid,
            before,
            limit: PageSize::default(),
        }))
        .await
    }

    /// Gives a participant the secrets of epochs that they do not have.
    pub async fn share_epochs(&self, share: ShareEpochs) -> Result<(), Error> {
        self.done(Signed::Conversation(conversation::Action::ShareEpochs(
            Box::new(share),
        )))
        .await
    }
}
