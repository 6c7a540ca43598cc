//! Opens the messages that were read, and checks each of them.

use std::collections::BTreeSet;

use parlance_wire::e2ee::Epoch;

use super::{Reader, Received, Secret};
use crate::{
    answer::{Conversation, Message},
    e2ee::{self, Envelope, Opened, Sealed, State, View, open_published, timeline::Standing},
    error::Error,
    session::Session,
};

impl Session {
    pub(super) async fn open(
        &self,
        state: &mut State,
        conversation: &Conversation,
        reader: &mut Reader,
        message: Message,
    ) -> Result<Received, Error> {
        let (id, instance) = (conversation.id, conversation.instance.clone());
        let envelope = Envelope {
            conversation: id,
            instance: &instance,
            id: message.id,
            user: message.user,
            station: message.station,
            r#type: &message.r#type,
        };
        let mut unsigned = None;
        let content = match Sealed::message(message.data.as_str()) {
            Ok(sealed) => self.unseal(state, reader, &envelope, &sealed).await?,
            Err(refused) => {
                if matches!(refused, e2ee::Error::NotSigned) {
                    let data = message.data.as_str();
                    self.fetch_epochs_down_to(state, reader, id, Epoch::FIRST)
                        .await?;
                    unsigned = open_unsigned(reader, &envelope, data);
                }
                Err(refused)
            }
        };
        let mut standing = Standing::Other;
        let problem = match &content {
            Ok(opened) => {
                if reader.epoch <= Some(opened.epoch) {
                    standing = reader.standing(message.user, opened.epoch);
                }
                self.problem(state, reader, &envelope, opened, message.seq)
                    .await?
            }
            Err(refused) => {
                // What cannot be opened may have any number: nothing is missing because of it.
                if matches!(refused, e2ee::Error::NoSecret(_) | e2ee::Error::WrongSecret) {
                    reader.gaps.insert(message.seq);
                }
                None
            }
        };
        Ok(Received {
            message,
            content,
            unsigned,
            problem,
            standing,
        })
    }

    async fn unseal(
        &self,
        state: &mut State,
        reader: &mut Reader,
        envelope: &Envelope<'_>,
        sealed: &Sealed,
    ) -> Result<Result<Opened, e2ee::Error>, Error> {
        let epoch = sealed.epoch();
        self.fetch_epochs_down_to(state, reader, envelope.conversation, epoch)
            .await?;
        let secret = match reader.epochs.get(&epoch) {
            Some((_, Secret::Opened(secret))) => secret,
            Some((_, Secret::Wrong)) => return Ok(Err(e2ee::Error::WrongSecret)),
            Some((_, Secret::Absent)) | None => return Ok(Err(e2ee::Error::NoSecret(epoch))),
        };
        let opened = sealed.open(envelope, secret, state.pins.cards(envelope.user));
        if let Err(e2ee::Error::WrongSigner | e2ee::Error::UnknownSigner(_)) = opened {
            // Someone who has left, or who has renewed their keys since.
            self.meet(state, &BTreeSet::from([envelope.user])).await?;
            return Ok(sealed.open(envelope, secret, state.pins.cards(envelope.user)));
        }
        Ok(opened)
    }

    async fn problem(
        &self,
        state: &mut State,
        reader: &mut Reader,
        envelope: &Envelope<'_>,
        opened: &Opened,
        seq: i64,
    ) -> Result<Option<e2ee::Error>, Error> {
        // Counted first: whatever else is wrong, the station's next message has the next number.
        let (n, has_all) = (opened.body.n, reader.has_all(envelope, seq));
        let numbered = reader.reading.count(envelope, n, has_all);
        let station = (envelope.user, envelope.station);
        reader.newest.insert(station, seq);
        if reader.epoch > Some(opened.epoch) {
            // No server stores a message in an epoch that has ended: whoever has only that one's
            // secret does not take part any more.
            return Ok(Some(e2ee::Error::OldEpoch(opened.epoch)));
        }
        reader.epoch = Some(opened.epoch);
        if let Some(mark) = opened.body.log
            && !matches!(state.log.check_mark(mark), Ok(true))
        {
            self.follow_own_log(state).await?;
            if !matches!(state.log.check_mark(mark), Ok(true)) {
                return Ok(Some(e2ee::Error::DifferentLog));
            }
        }
        let Some((announcement, _)) = reader.epochs.get(&opened.epoch) else {
            return Ok(Some(e2ee::Error::DifferentEpoch(opened.epoch)));
        };
        let present = state.epochs.get(&envelope.conversation);
        if present.is_some_and(|present| {
            present.newest().epoch() == opened.epoch
                && !present.members().contains_key(&envelope.user)
        }) {
            return Ok(Some(e2ee::Error::NotAMember(envelope.user)));
        }
        let view = View {
            seq,
            chain_at: &|seq| reader.chains.get(&seq).copied(),
            announcement,
            known_from: reader.known_from(),
            log: &state.log,
            has_all,
        };
        Ok(view.check(envelope, opened).and(numbered).err())
    }
}

/// What a message of the published form says. Nothing names its secret: it is that of one of the
/// epochs, as published clients know only the newest one's, or the one before the first.
fn open_unsigned(reader: &Reader, envelope: &Envelope<'_>, data: &str) -> Option<String> {
    let epochs = reader.epochs.values().rev();
    let known = epochs.filter_map(|(_, secret)| match secret {
        Secret::Opened(secret) => Some(secret),
        Secret::Absent | Secret::Wrong => None,
    });
    known
        .chain(&reader.secret_before)
        .find_map(|secret| open_published(envelope, secret, data).ok())
}
