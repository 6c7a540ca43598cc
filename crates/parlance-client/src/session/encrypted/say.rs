//! Begins direct conversations, and sends messages after those that were read.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    chain::Chain,
    e2ee::Head,
    id::{ConversationId, MessageId, UserId},
    text::DisplayName,
    time::Timestamp,
};

use super::{Draft, NextEpoch, epochs::members, read::Reader, rekey::is_late};
use crate::{
    answer::{self, Conversation},
    e2ee::{self, Body, Content, EpochSecret, Epochs, Kind, Maker, SigningKey, State, first_epoch},
    error::{Error, ErrorCode},
    retry::Attempts,
    session::Session,
};

/// A message to be said.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id, with which at most one message is ever stored.
    pub id: MessageId,
    /// Its content.
    pub kind: Kind,
    /// When it is written, by the caller's clock.
    pub at: Timestamp,
    /// When it expires: the server deletes it then, at the latest, and clients stop showing it.
    /// `None`: when the server's settings say.
    pub until: Option<Timestamp>,
}

impl NewMessage {
    /// A message with a new id, written now, which does not expire.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            id: MessageId::random(),
            kind,
            at: Timestamp::now(),
            until: None,
        }
    }
}

/// Sending encrypted messages.
impl Session {
    /// The direct conversation with a friend, which is in an epoch afterwards: it is created, or
    /// its first epoch is begun, unless that was done before.
    ///
    /// # Errors
    /// As for [`meet`](Self::meet); `NewIdentity`: the friend has other keys, which have to be
    /// accepted first. `NotAllowed`: they are no friend. `NoEpochs`: there are messages of older
    /// clients, whose secret new devices would not get any more.
    pub async fn direct(
        &self,
        state: &mut State,
        sign: &SigningKey,
        friend: UserId,
    ) -> Result<Conversation, Error> {
        let mut attempts = Attempts::default();
        loop {
            let begun = self.direct_once(state, sign, friend).await;
            if !attempts.goes_on(&begun, is_late) {
                return begun;
            }
        }
    }

    async fn direct_once(
        &self,
        state: &mut State,
        sign: &SigningKey,
        friend: UserId,
    ) -> Result<Conversation, Error> {
        let id = ConversationId::between(self.user(), friend);
        let listed = self.list().await?.into_iter().find(|one| one.id == id);
        if listed.as_ref().is_some_and(|listed| listed.isgroup) {
            return Err(e2ee::Error::WrongRoster.into());
        }
        if let Some(listed) = &listed
            && listed.epoch > 0
        {
            return Ok(listed.clone());
        }
        let users = BTreeSet::from([self.user(), friend]);
        let met = self.meet(state, &users).await?;
        state.pins.may_send(users.iter().copied())?;
        let maker = Maker {
            user: self.user(),
            key: sign,
        };
        let head = match &listed {
            Some(listed) if listed.lastmessageid.is_some() => return Err(Error::NoEpochs),
            Some(listed) => Head {
                seq: 0,
                chain: Some(Chain::beginning(id, &listed.instance)),
            },
            None => Head {
                seq: 0,
                chain: None,
            },
        };
        let members = members(&state.pins, &met.keys, &users)?;
        let epoch = first_epoch(maker, id, members, BTreeSet::new(), head)?;
        let conversation = match &listed {
            None => {
                // Each is shown the other's name.
                let none = DisplayName::parse(String::new());
                let none = none.ok_or(Error::Invalid("a name"))?;
                let names = users.iter().map(|user| (*user, none.clone())).collect();
                self.create_encrypted(friend, &epoch, &met.keys, names)
                    .await?
            }
            Some(listed) => {
                let (names, nobody) = (BTreeMap::new(), BTreeSet::new());
                self.announce(&listed.instance, &epoch, &met.keys, names, nobody)
                    .await?
            }
        };
        // If the friend was faster, it is theirs, and is followed later.
        let ours = &epoch.announcement.announcement;
        if conversation
            .epochs
            .first()
            .is_some_and(|one| one.announcement.announcement == *ours)
        {
            state.set_epochs(id, epoch.accepted(), Timestamp::now());
        }
        Ok(conversation)
    }

    /// Begins the next epoch of a conversation if one is due: someone has left, or has other keys,
    /// or it has lasted long enough by `now`, the caller's clock ([`State::is_epoch_due`]). Returns
    /// whether it was. [`say`](Self::say) does this first; a client that only reads, and sees that
    /// someone has left, calls it after a random delay of up to a minute, as the others see it, too.
    ///
    /// # Errors
    /// As for [`rekey`](Self::rekey). `Cleared`: read again first.
    pub async fn renew_epoch(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        reader: &Reader,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.follow_announcements(state, conversation).await?;
        let renewed = self.renew(state, sign, conversation, reader, now).await?;
        Ok(renewed.is_some())
    }

    /// The same, with epochs that were followed. Returns the new epoch's secret.
    async fn renew(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        reader: &Reader,
        now: Timestamp,
    ) -> Result<Option<EpochSecret>, Error> {
        reader.check_instance(conversation)?;
        let head = reader.head(conversation);
        let users: BTreeSet<UserId> = conversation.participantids.iter().copied().collect();
        let met = self.meet(state, &users).await?;
        let members = members(&state.pins, &met.keys, &users)?;
        let is_of_all = state.epochs.get(&conversation.id).map(Epochs::members) == Some(&members);
        if is_of_all && !state.is_epoch_due(conversation.id, head, now) {
            return Ok(None);
        }
        let next = NextEpoch {
            add: BTreeSet::new(),
            admins: None,
            remove: BTreeSet::new(),
            head,
            name: None,
        };
        let secret = self.rekey(state, sign, conversation, &next).await?;
        reader.check_instance(conversation)?;
        Ok(Some(secret))
    }

    /// Sends a message that follows those that `reader` has read. If someone has left, or has other
    /// keys, or if the epoch has lasted long enough ([`State::is_epoch_due`]), the next epoch is
    /// begun first. Whatever happens, at most one message with this id is stored.
    ///
    /// # Errors
    /// As for [`add_sealed`](Self::add_sealed) and [`rekey`](Self::rekey). `MessageIdConflict`: the
    /// message was stored by an earlier call, or another one has this id. `Cleared`: read again
    /// first.
    ///
    /// After an error that [`is_uncertain`](Error::is_uncertain) the message may be stored or not.
    /// Say it again with the same id: then it has the same number. Another message gets the next
    /// number, and if the uncertain one was not stored, its readers are shown that messages are
    /// missing.
    pub async fn say(
        &self,
        state: &mut State,
        sign: &SigningKey,
        conversation: &mut Conversation,
        reader: &Reader,
        message: NewMessage,
    ) -> Result<answer::Stored, Error> {
        let NewMessage {
            id,
            kind,
            at,
            until,
        } = message;
        let mut secret = self.follow_epochs(state, conversation).await?;
        let renewed = self.renew(state, sign, conversation, reader, at).await?;
        if let Some(renewed) = renewed {
            secret = renewed;
        }
        let head = reader.head(conversation);
        let (user, station) = (self.user(), self.identity().station);
        let (conversation_id, instance) = (conversation.id, conversation.instance.clone());
        let kept = state.reading(conversation_id, &instance);
        // Either may be behind: the state, if it is an old copy, and the server, if it lies.
        let next = kept
            .next_number(user, station)
            .max(reader.next_number(user, station));
        let n = kept.number_of(id).unwrap_or(next);
        let draft = Draft {
            id,
            created: at,
            body: Body {
                at: at.whole_seconds(),
                until: until.map(Timestamp::whole_seconds),
                n,
                head,
                ep: None,
                log: Some(state.log.mark()),
                content: Content::Known(kind),
            },
        };
        let mut may_be_stored = false;
        let stored = self
            .add_and_tell(
                state,
                sign,
                &mut secret,
                conversation,
                &draft,
                &mut may_be_stored,
            )
            .await;
        let kept = state.reading(conversation_id, &instance);
        let is_there = |error: &Error| error.code() == Some(ErrorCode::MessageIdConflict);
        match &stored {
            Ok(_) => kept.sent(user, station, n, id),
            // By an attempt of this call that was not answered, sealed in the epoch before.
            Err(error) if may_be_stored && is_there(error) => kept.sent(user, station, n, id),
            Err(_) if may_be_stored => kept.may_be_sent(user, station, n, id),
            // By an earlier call.
            Err(error) if is_there(error) => kept.is_sent(id),
            // Refused, or never sent: its number stays free (docs/e2ee.md, Messages).
            Err(_) => {}
        }
        stored
    }
}
