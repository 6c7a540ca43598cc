//! Reads the messages of a conversation, with all checks of a reader.

mod transcript;

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    chain::Chain,
    e2ee::{Announcement, Epoch, Head},
    id::{StationId, UserId},
};

use crate::{
    answer::{Conversation, Message},
    e2ee::{
        self, Envelope, EpochSecret, Epochs, Opened, Reading, Sealed, State, View, WireType,
        check_older, timeline::Row,
    },
    error::Error,
    history::History,
    session::Session,
};

/// Messages of the first page: the server's maximum.
const FIRST_PAGE: usize = 500;

/// A message, and what came of its checks.
#[derive(Debug)]
pub struct Received {
    /// As the server stored it.
    pub message: Message,
    /// Its content, or why it was refused.
    pub content: Result<Opened, e2ee::Error>,
    /// What is wrong although the sender wrote it: they were shown other messages, epochs or
    /// another key log, or earlier messages of theirs are missing. Shown together with it.
    pub problem: Option<e2ee::Error>,
}

impl Received {
    /// As a [`Timeline`](e2ee::timeline::Timeline) takes it.
    ///
    /// ```no_run
    /// use parlance_client::{
    ///     ConversationId, Device, Feed, Timestamp, Update, e2ee::timeline::Timeline,
    /// };
    ///
    /// # async fn run(
    /// #     mut device: Device, mut feed: Feed, shown: ConversationId,
    /// # ) -> Result<(), parlance_client::Error> {
    /// let mut timeline = Timeline::new(device.session().user());
    /// loop {
    ///     for received in device.read(shown).await? {
    ///         timeline.add(received.row());
    ///     }
    ///     for entry in timeline.entries(&[].into(), Timestamp::now()) {
    ///         println!("{} {:?}", entry.text, entry.progress);
    ///     }
    ///     match feed.next().await? {
    ///         Update::Report { report, .. } => {
    ///             timeline.report(report.user, report.message_id, report.r#type);
    ///         }
    ///         Update::Erased { messages, .. } => messages.into_iter().for_each(|id| timeline.erase(id)),
    ///         Update::Cleared { .. } => timeline = Timeline::new(device.session().user()),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn row(&self) -> Row {
        let message = &self.message;
        let body = self.content.as_ref().ok().map(|opened| &opened.body);
        Row {
            seq: message.seq,
            id: message.id,
            user: message.user,
            at: body.map_or(message.created, |body| body.at),
            until: body.and_then(|body| body.until),
            wire_type: if message.r#type == WireType::Update.as_str() {
                WireType::Update
            } else {
                WireType::Message
            },
            content: body.map(|body| body.content.clone()),
            has_problem: self.problem.is_some(),
        }
    }
}

/// The reader's copy of an epoch's secret.
#[derive(Debug, Clone)]
enum Secret {
    Opened(EpochSecret),
    /// The epoch was before the reader joined, or its secret is withheld.
    Absent,
    /// An older epoch's, which does not open, or is not what was announced: it costs that epoch's
    /// messages and no others.
    Wrong,
}

/// How far a conversation's present instance has been read.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// The rows that were read; `None` before the first page.
    position: Option<History>,
    epochs: BTreeMap<Epoch, (Announcement, Secret)>,
    /// The transcript, as far as it is known: the hash at each message.
    chains: BTreeMap<i64, Chain>,
    reading: Reading,
    /// The newest epoch of a message that was read.
    epoch: Option<Epoch>,
    /// Whether contents before the rows that were read are unknown.
    lacks_some: bool,
    /// Whether there may be messages before the oldest one in `chains`.
    begins_late: bool,
}

impl Reader {
    /// A reader that begins with the newest 500 messages.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The newest message that was read.
    pub(super) fn head(&self, conversation: &Conversation) -> Head {
        match self.chains.last_key_value() {
            Some((seq, chain)) => Head {
                seq: *seq,
                chain: Some(*chain),
            },
            None => Head {
                seq: 0,
                chain: Some(Chain::beginning(conversation.id, &conversation.instance)),
            },
        }
    }

    /// Checks that what was read is of the present instance.
    pub(super) fn check_instance(&self, conversation: &Conversation) -> Result<(), Error> {
        let position = self.position.as_ref();
        if position.is_some_and(|position| *position.instance() != conversation.instance) {
            return Err(Error::Cleared);
        }
        Ok(())
    }

    /// The number from which on the transcript is known.
    fn known_from(&self) -> i64 {
        let oldest = self.chains.first_key_value().filter(|_| self.begins_late);
        oldest.map_or(0, |(seq, _)| *seq)
    }

    /// The number of the next message of this station, as far as it was read.
    pub(super) fn next_number(&self, user: UserId, station: StationId) -> u64 {
        self.reading.next_number(user, station)
    }
}

/// Reading.
impl Session {
    /// Follows the conversation to its newest epoch, and reads the messages that came since the
    /// last call, at first the newest 500. The transcript is verified, and is the one that the
    /// state knows. `conversation` is as the server listed it last. If it was cleared since,
    /// reading starts over.
    ///
    /// After an error, or if the call is given up (its future dropped), nothing counts as read: the
    /// next call reads the same rows.
    ///
    /// # Errors
    /// As for [`follow_epochs`](Self::follow_epochs); `BrokenTranscript`: a message is not what was
    /// written, or one is missing; `DifferentTranscript`: the messages are not those that were
    /// shown before, or that the list names.
    pub async fn read(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
        reader: &mut Reader,
    ) -> Result<Vec<Received>, Error> {
        self.follow_epochs(state, conversation).await?;
        // A copy, which takes the reader's place once everything is read.
        let mut next = match reader.check_instance(conversation) {
            Ok(()) => reader.clone(),
            Err(_) => Reader::new(),
        };
        let rows = self.next_rows(conversation, &mut next).await?;
        self.verify_transcript(state, conversation, &mut next, &rows)
            .await?;
        self.follow_later(state, conversation, &rows).await?;
        let mut read = vec![];
        for message in rows {
            let received = self.open(state, conversation, &mut next, message).await?;
            read.push(received);
        }
        let head = next.head(conversation);
        state
            .heads
            .insert(conversation.id, (conversation.instance.clone(), head));
        *reader = next;
        Ok(read)
    }

    /// Follows the epochs again, if one of these rows is of an epoch that began after they were
    /// followed.
    async fn follow_later(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
        rows: &[Message],
    ) -> Result<(), Error> {
        let newest = state.epochs.get(&conversation.id).map(Epochs::newest);
        let newest = newest.map(Announcement::epoch);
        let is_later = |row: &Message| {
            Sealed::message(row.data.as_str()).is_ok_and(|sealed| Some(sealed.epoch()) > newest)
        };
        // Once: a server could put an epoch into a row that it never shows.
        if rows.iter().any(is_later) {
            let mut now = conversation.clone();
            self.follow_epochs(state, &mut now).await?;
            // If it was cleared meanwhile, the rows are still of the instance before.
            if now.instance == conversation.instance {
                *conversation = now;
            }
        }
        Ok(())
    }

    async fn next_rows(
        &self,
        conversation: &Conversation,
        reader: &mut Reader,
    ) -> Result<Vec<Message>, Error> {
        let Some(position) = &mut reader.position else {
            let (id, instance) = (conversation.id, &conversation.instance);
            let page = self
                .download_before(id, instance, None, None, FIRST_PAGE)
                .await?;
            reader.begins_late = page.messages.len() >= FIRST_PAGE;
            reader.lacks_some = reader.begins_late;
            reader.position = Some(History::after(conversation, page.messages.last()));
            return Ok(page.messages);
        };
        let mut rows = vec![];
        loop {
            let page = position.next_page(self).await?;
            // A server that promises more and sends none would be asked for ever.
            let is_last = !page.hasmore || page.messages.is_empty() && page.reports.is_empty();
            rows.extend(page.messages);
            if is_last {
                return Ok(rows);
            }
        }
    }

    async fn open(
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
        let content = match Sealed::message(message.data.as_str()) {
            Ok(sealed) => self.unseal(state, reader, &envelope, &sealed).await?,
            Err(refused) => Err(refused),
        };
        let problem = match &content {
            Ok(opened) => {
                self.problem(state, reader, &envelope, opened, message.seq)
                    .await?
            }
            Err(refused) => {
                // What cannot be opened may have any number: nothing is missing because of it.
                reader.lacks_some |=
                    matches!(refused, e2ee::Error::NoSecret(_) | e2ee::Error::WrongSecret);
                None
            }
        };
        Ok(Received {
            message,
            content,
            problem,
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
        self.know_epoch(state, reader, envelope, epoch).await?;
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
        let (n, has_all) = (opened.body.n, !reader.lacks_some);
        let numbered = reader.reading.count(envelope, n, has_all);
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
        if reader.epoch > Some(opened.epoch) {
            // No server stores a message in an epoch that has ended: whoever has only that one's
            // secret does not take part any more.
            return Ok(Some(e2ee::Error::OldEpoch(opened.epoch)));
        }
        reader.epoch = Some(opened.epoch);
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

    /// Fetches the announcements and secrets from the newest epoch down to this one.
    async fn know_epoch(
        &self,
        state: &State,
        reader: &mut Reader,
        envelope: &Envelope<'_>,
        epoch: Epoch,
    ) -> Result<(), Error> {
        let Some(newest) = state.epochs.get(&envelope.conversation).map(Epochs::newest) else {
            return Ok(());
        };
        if reader.epochs.contains_key(&epoch) || epoch > newest.epoch() {
            return Ok(());
        }
        let mut after: Option<Announcement> = None;
        loop {
            let before = after.as_ref().map(Announcement::epoch);
            let page = self.epochs(envelope.conversation, before).await?;
            for one in &page.epochs {
                let announcement = &one.announcement.announcement;
                match &after {
                    // Begun since: it is followed by the next call.
                    None if announcement.epoch() > newest.epoch() => continue,
                    None if announcement == newest => {}
                    None => return Err(e2ee::Error::ForkedEpoch(announcement.epoch()).into()),
                    Some(later) => check_older(later, std::slice::from_ref(&one.announcement))?,
                }
                let secret = match one.secret.as_str() {
                    "" => Secret::Absent,
                    wrapped => match self.open_secret(announcement, wrapped) {
                        Ok(secret) => Secret::Opened(secret),
                        Err(_) if announcement.epoch() < newest.epoch() => Secret::Wrong,
                        // `read` has opened the newest one's before: this copy is another one.
                        Err(error) => return Err(error.into()),
                    },
                };
                let known = (announcement.clone(), secret);
                reader.epochs.insert(announcement.epoch(), known);
                after = Some(announcement.clone());
            }
            let is_last = !page.hasmore || page.epochs.is_empty() || after.is_none();
            if reader.epochs.contains_key(&epoch) || is_last {
                return Ok(());
            }
        }
    }
}
