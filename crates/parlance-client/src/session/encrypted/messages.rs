//! Seals and sends messages.

use std::collections::BTreeSet;

use parlance_wire::{
    e2ee::Announcement,
    id::{MessageId, UserId},
    request::{
        Signed,
        conversation::{self, SentMessage},
    },
    text::MessageType,
    time::Timestamp,
};

use crate::{
    answer::{self, Conversation},
    e2ee::{self, Body, Content, Envelope, EpochSecret, Kind, SigningKey, State, seal},
    error::{Error, ErrorCode},
    session::Session,
};

/// A message before it is sealed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its id. Whatever happens, at most one message with it is stored.
    pub id: MessageId,
    /// When it was written, for the server.
    pub created: Timestamp,
    /// The content. Its `ep` is set when it is sealed.
    pub body: Body,
}

/// Encrypted messages.
impl Session {
    /// Sends a message, sealed in the newest epoch of the state, whose secret is `secret`. If that
    /// epoch has ended, the following ones are followed, `secret` becomes the newest one's, and the
    /// message is sealed again, under the same id and number. Only then, because a call whose
    /// answer was lost may have been carried out, and is repeated byte for byte.
    ///
    /// `conversation` is as the server last listed it, and is then listed again: its participants
    /// have to be in the roster.
    ///
    /// # Errors
    /// `Encryption`: as for [`follow_epochs`](Self::follow_epochs) and [`seal`];
    /// `DifferentParticipants`, `NewIdentity`: nothing may be sent. `Cleared`: the message's number
    /// and head are of the instance before.
    pub async fn add_sealed(
        &self,
        state: &mut State,
        sign: &SigningKey,
        secret: &mut EpochSecret,
        conversation: &mut Conversation,
        draft: &Draft,
    ) -> Result<answer::Stored, Error> {
        self.add_and_tell(state, sign, secret, conversation, draft, &mut false)
            .await
    }

    /// The same. Tells whether an attempt may have been carried out without an answer, which the
    /// error, of a later attempt, need not say.
    pub(super) async fn add_and_tell(
        &self,
        state: &mut State,
        sign: &SigningKey,
        secret: &mut EpochSecret,
        conversation: &mut Conversation,
        draft: &Draft,
        may_be_stored: &mut bool,
    ) -> Result<answer::Stored, Error> {
        loop {
            let sent = self.seal_draft(state, sign, secret, conversation, draft)?;
            let answer: Result<answer::Added, Error> = self.call(Signed::Conversation(sent)).await;
            *may_be_stored |= answer.as_ref().is_err_and(Error::is_uncertain);
            match answer {
                Err(error) if error.code() == Some(ErrorCode::StaleEpoch) => {
                    let (id, instance) = (conversation.id, conversation.instance.clone());
                    let before = state.epochs.get(&id).cloned();
                    *conversation = self.listed(id).await?;
                    *secret = self.follow_epochs(state, conversation).await?;
                    if conversation.instance != instance {
                        return Err(Error::Cleared);
                    }
                    // A server that refuses its own newest epoch would be asked for ever.
                    if state.epochs.get(&id) == before.as_ref() {
                        return Err(error);
                    }
                }
                answer => return Ok(answer?.message),
            }
        }
    }

    fn seal_draft(
        &self,
        state: &State,
        sign: &SigningKey,
        secret: &EpochSecret,
        conversation: &Conversation,
        draft: &Draft,
    ) -> Result<conversation::Action, Error> {
        // For each attempt: whoever follows an epoch may have met other people, or new identities.
        let newest = check_may_send(state, conversation)?;
        // Under any other secret, nobody could read the message.
        if secret.commitment() != newest.commit() {
            return Err(e2ee::Error::WrongSecret.into());
        }
        let Content::Known(kind) = &draft.body.content else {
            return Err(e2ee::Error::Malformed("the kind").into());
        };
        let r#type = kind.wire_type().as_str();
        let envelope = Envelope {
            conversation: conversation.id,
            instance: &conversation.instance,
            id: draft.id,
            user: self.user(),
            station: self.identity().station,
            r#type,
        };
        let body = Body {
            ep: Some(newest.hash()),
            ..draft.body.clone()
        };
        let epoch = newest.epoch();
        Ok(conversation::Action::Add {
            conversationid: conversation.id,
            instance: conversation.instance.clone(),
            message: SentMessage {
                id: draft.id,
                r#type: MessageType::parse(r#type).ok_or(Error::Invalid("the type"))?,
                created: draft.created,
                valid_until: draft.body.until,
                data: seal(&envelope, epoch, secret, sign, &body)?,
            },
            epoch: Some(epoch),
            files: match kind {
                Kind::File { files, .. } => files.iter().map(|file| file.id).collect(),
                _ => BTreeSet::new(),
            },
        })
    }
}

/// Checks that something may be encrypted for those whom the server lists: they are the roster, and
/// nobody's identity is in doubt. Returns the newest epoch's announcement.
pub(super) fn check_may_send<'a>(
    state: &'a State,
    conversation: &Conversation,
) -> Result<&'a Announcement, Error> {
    let Some(epochs) = state.epochs.get(&conversation.id) else {
        return Err(Error::Invalid("the conversation's epoch"));
    };
    let listed: BTreeSet<UserId> = conversation.participantids.iter().copied().collect();
    epochs.check_participants(&listed)?;
    state.pins.may_send(listed)?;
    Ok(epochs.newest())
}
