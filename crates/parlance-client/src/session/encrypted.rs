//! Encrypted conversations: what is made by [`crate::e2ee`] and sent, and the key log, followed.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{Epoch, LOG_ENTRY_LEN},
    id::{ConversationId, UserId},
    key::PublicKey,
    request::{
        Signed,
        conversation::{self, SentMessage},
        conversationgroup,
        epoch::Rekey,
    },
    text::{DisplayName, Instance},
};

use crate::{
    answer::{self, Conversation},
    e2ee::{KeyLog, NewEpoch, OwnCards},
    error::Error,
    session::Session,
};

/// Encrypted conversations.
impl Session {
    /// The direct conversation with a friend, with its first epoch; or the one that there is, unchanged.
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

    /// A new group with its first epoch, which names its id. Friends are put in, others invited.
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

    /// Announces the next epoch of a conversation, with a new secret; in a group also with other participants: those whom
    /// the announcement adds, and without those in `remove`, whom an admin takes out in the same call. (Who has left is
    /// in the announcement alone.)
    ///
    /// # Errors
    /// `StaleEpoch`: someone was faster; follow theirs. `StaleRoster`: others take part than the announcement says.
    pub async fn announce(
        &self,
        instance: &Instance,
        epoch: &NewEpoch,
        keys: &BTreeMap<UserId, PublicKey>,
        displaynames: BTreeMap<UserId, DisplayName>,
        remove: BTreeSet<UserId>,
    ) -> Result<Conversation, Error> {
        let announcement = epoch.announcement.announcement.clone();
        self.rekey(Rekey {
            conversationid: announcement.conversation(),
            instance: instance.clone(),
            epoch: announcement.epoch(),
            secrets: epoch.wrap(keys)?,
            displaynames,
            removeparticipants: remove,
            addparticipants: match announcement.epoch() {
                // The first one adds everyone, and they are there.
                Epoch::FIRST => BTreeSet::new(),
                _ => announcement.added().clone(),
            },
            announcement,
            signature: epoch.announcement.signature,
        })
        .await
    }

    /// Sends a message that is sealed with the secret of this epoch. To send it again is to send the same.
    ///
    /// # Errors
    /// `StaleEpoch`: there is a newer one. Follow it, and seal the message anew, with the same id.
    pub async fn add_sealed(
        &self,
        conversationid: ConversationId,
        instance: &Instance,
        epoch: Epoch,
        message: SentMessage,
    ) -> Result<answer::Stored, Error> {
        let answer: answer::Added = self
            .call(Signed::Conversation(conversation::Action::Add {
                conversationid,
                instance: instance.clone(),
                message,
                epoch: Some(epoch),
            }))
            .await?;
        Ok(answer.message)
    }

    /// Follows the key log to its present end. `own` are all cards that the user ever published.
    ///
    /// # Errors
    /// `Encryption`: the log is not as it must be; `log` is as it was then.
    pub async fn follow_key_log(&self, log: &mut KeyLog, own: &OwnCards) -> Result<(), Error> {
        let mut entries: Vec<u8> = vec![];
        loop {
            let after = u64::try_from(entries.len() / LOG_ENTRY_LEN)
                .ok()
                .and_then(|read| u32::try_from(log.size() + read).ok())
                .ok_or(Error::Invalid("the size of the key log"))?;
            let page = self.key_log(after).await?;
            let more = STANDARD
                .decode(&page.entries)
                .map_err(|_| Error::Invalid("a page of the key log"))?;
            let is_last = !page.hasmore || more.is_empty();
            entries.extend(more);
            if is_last {
                let head = parlance_wire::e2ee::SignedLogHead {
                    head: page.head,
                    signature: page.signature,
                };
                return Ok(log.follow(&entries, &head, self.user(), own)?);
            }
        }
    }
}
