//! Checks a message beyond its signature: its writer saw the same messages, epoch and key log, and
//! none of the writer's messages is missing.

use std::collections::BTreeMap;

use parlance_wire::{
    chain::Chain,
    e2ee::Announcement,
    id::{MessageId, StationId, UserId},
};
use serde::{Deserialize, Serialize};

use super::{Envelope, Error, KeyLog, Opened};

/// How far the messages of each station have been read, in one instance of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    // Nested, as a pair cannot be a key in JSON.
    by_station: BTreeMap<UserId, BTreeMap<StationId, u64>>,
    /// The last message that was sent from here, while it is unknown whether the server has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsure: Option<(MessageId, u64)>,
    /// The newest message that the server has stored from here, until it is read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<MessageId>,
}

/// The reader's view at a message.
pub struct View<'a> {
    /// The message's number.
    pub seq: i64,
    /// The reader's own transcript: the hash at the message with this number, if there is one.
    pub chain_at: &'a dyn Fn(i64) -> Option<Chain>,
    /// The number from which the reader knows the transcript; 0 for all of it. An earlier head of a
    /// writer cannot be compared.
    pub known_from: i64,
    /// The announcement of the message's epoch.
    pub announcement: &'a Announcement,
    /// The reader's key log.
    pub log: &'a KeyLog,
    /// Whether the reader has read all messages from the first, with none of their contents
    /// deleted.
    pub has_all: bool,
}

impl Reading {
    /// The number of the next message of the user's own station.
    #[must_use]
    pub fn next_number(&self, user: UserId, station: StationId) -> u64 {
        self.last(user, station).map_or(1, |last| last + 1)
    }

    /// The number of a message that is sent again, after an attempt without an answer.
    #[must_use]
    pub fn number_of(&self, id: MessageId) -> Option<u64> {
        let (unsure, n) = self.unsure?;
        (unsure == id).then_some(n)
    }

    /// Counts a message that was sent from here, and not read back yet.
    pub fn sent(&mut self, user: UserId, station: StationId, n: u64, id: MessageId) {
        self.unsure = None;
        self.stored = Some(id);
        self.count_own(user, station, n);
    }

    /// The newest message that the server has stored from here, if it was not read back yet.
    #[must_use]
    pub fn stored(&self) -> Option<MessageId> {
        self.stored
    }

    /// Notes that everything was read back.
    pub fn read_back(&mut self) {
        self.stored = None;
    }

    /// Counts a message that was sent from here without an answer. Its number is used up, unless
    /// the same message is sent again: then it keeps the number.
    pub fn may_be_sent(&mut self, user: UserId, station: StationId, n: u64, id: MessageId) {
        self.unsure = Some((id, n));
        self.count_own(user, station, n);
    }

    /// Notes that the server has this message, which may have been sent without an answer.
    pub fn is_sent(&mut self, id: MessageId) {
        self.unsure.take_if(|(unsure, _)| *unsure == id);
    }

    fn count_own(&mut self, user: UserId, station: StationId, n: u64) {
        let last = self.by_station.entry(user).or_default().entry(station);
        let last = last.or_default();
        *last = n.max(*last);
    }

    fn last(&self, user: UserId, station: StationId) -> Option<u64> {
        self.by_station.get(&user)?.get(&station).copied()
    }

    /// Checks a message, and counts it. Has to be called for each message in the order of their
    /// numbers, including those of the user's own station.
    ///
    /// A message that is refused here is still from its sender, and is shown together with the
    /// problem. The count continues, so that a gap is reported once.
    ///
    /// # Errors
    /// `DifferentTranscript`, `DifferentEpoch`, `DifferentLog`, `MissingMessages`,
    /// `RepeatedNumber`; `Malformed`: it lacks the messages that its writer had seen.
    pub fn check(
        &mut self,
        envelope: &Envelope<'_>,
        opened: &Opened,
        view: &View<'_>,
    ) -> Result<(), Error> {
        // Counted first: whatever else is wrong, the station's next message has the next number.
        let numbered = self.count(envelope, opened.body.n, view.has_all);
        view.check(envelope, opened)?;
        numbered
    }

    /// Counts a message.
    pub(crate) fn count(
        &mut self,
        envelope: &Envelope<'_>,
        n: u64,
        has_all: bool,
    ) -> Result<(), Error> {
        let expected = self.next_number(envelope.user, envelope.station);
        if n < expected {
            return Err(Error::RepeatedNumber(n));
        }
        let stations = self.by_station.entry(envelope.user).or_default();
        stations.insert(envelope.station, n);
        // A reader who did not start at the beginning does not know the first number.
        if n == expected || !has_all {
            return Ok(());
        }
        Err(Error::MissingMessages { expected, found: n })
    }
}

impl View<'_> {
    /// Checks a message without its number.
    pub(crate) fn check(&self, envelope: &Envelope<'_>, opened: &Opened) -> Result<(), Error> {
        check_head(envelope, opened, self)?;
        let (body, announcement) = (&opened.body, self.announcement);
        let is_of_epoch = announcement.epoch() == opened.epoch
            && announcement.conversation() == envelope.conversation
            && body.ep.is_none_or(|ep| ep == announcement.hash());
        if !is_of_epoch {
            return Err(Error::DifferentEpoch(opened.epoch));
        }
        if let Some(mark) = body.log {
            // A log that is longer than the reader's is compared once the reader has followed it.
            self.log.check_mark(mark)?;
        }
        Ok(())
    }
}

fn check_head(envelope: &Envelope<'_>, opened: &Opened, view: &View<'_>) -> Result<(), Error> {
    let head = opened.body.head;
    let Some(chain) = head.chain else {
        return Err(Error::Malformed("the head"));
    };
    // Nobody has seen their own message, or a later one, while writing it.
    if head.seq >= view.seq {
        return Err(Error::DifferentTranscript);
    }
    let own = if head.seq == 0 {
        Some(Chain::beginning(envelope.conversation, envelope.instance))
    } else if head.seq < view.known_from {
        return Ok(());
    } else {
        (view.chain_at)(head.seq)
    };
    if own == Some(chain) {
        Ok(())
    } else {
        Err(Error::DifferentTranscript)
    }
}
