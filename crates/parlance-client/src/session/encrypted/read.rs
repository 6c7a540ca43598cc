//! Reads the messages of a conversation, with all checks of a reader.

mod epochs;
mod open;
mod transcript;

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    chain::Chain,
    e2ee::{Announcement, Epoch, Head},
    id::{MessageId, StationId, UserId},
};

use crate::{
    answer::{Conversation, Message},
    e2ee::{
        self, Body, Content, Envelope, EpochSecret, Epochs, Kind, Opened, Reading, Sealed, State,
        WireType,
        timeline::{Row, Standing},
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
    /// What a message says that is [`NotSigned`](e2ee::Error::NotSigned) but of the published form, as
    /// older clients write it. Anybody with the conversation's secret may have written it, in
    /// whatever name: it is shown with a mark, and nothing else follows from it.
    pub unsigned: Option<String>,
    /// What is wrong although the sender wrote it: they were shown other messages, epochs or
    /// another key log, or earlier messages of theirs are missing. Shown together with it.
    pub problem: Option<e2ee::Error>,
    /// What its sender may do to the messages of others, by the announcement of its epoch. In a message of
    /// an epoch that had ended: nothing.
    pub standing: Standing,
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
    ///     for entry in timeline.entries(Timestamp::now()) {
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
            content: match body {
                Some(body) => Some(body.content.clone()),
                None => self.unsigned.as_deref().map(unsigned_content),
            },
            standing: self.standing,
            is_signed: body.is_some(),
            has_problem: self.problem.is_some(),
        }
    }
}

/// What a message of the published form says: some clients write bodies there, others plain text.
fn unsigned_content(text: &str) -> Content {
    match Body::parse(text) {
        Ok(body) => body.content,
        Err(_) => Content::Known(Kind::Text {
            text: text.to_owned(),
            reply: None,
            mentions: vec![],
        }),
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
    /// The secret that the conversation had before its first epoch.
    secret_before: Option<EpochSecret>,
    /// The transcript, as far as it is known: the hash at each message.
    chains: BTreeMap<i64, Chain>,
    reading: Reading,
    /// The newest epoch of a message that was read.
    epoch: Option<Epoch>,
    /// The numbers of messages at which, or right before which, contents are unknown.
    gaps: BTreeSet<i64>,
    /// The newest message of each station that was read.
    newest: BTreeMap<(UserId, StationId), i64>,
    /// Whether there may be messages before the oldest one in `chains`.
    begins_late: bool,
    /// The newest message that was stored from here, until it is found in the transcript.
    awaited: Option<MessageId>,
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

    /// Whether everything is known that a station can have written between its last message that was
    /// read and its message with this number.
    fn has_all(&self, envelope: &Envelope<'_>, seq: i64) -> bool {
        let before = self.newest.get(&(envelope.user, envelope.station));
        let after = before.map_or(0, |before| before.saturating_add(1));
        self.gaps.range(after..=seq).next().is_none()
    }

    /// What a user may do to the messages of others in an epoch.
    fn standing(&self, user: UserId, epoch: Epoch) -> Standing {
        match self.epochs.get(&epoch).map(|(one, _)| one.admins()) {
            Some(admins) if admins.contains(&user) => Standing::Admin,
            // Only a direct conversation has no admins.
            Some(admins) if admins.is_empty() => Standing::OneOfTwo,
            _ => Standing::Other,
        }
    }

    /// The number of the next message of this station, as far as it was read.
    pub(super) fn next_number(&self, user: UserId, station: StationId) -> u64 {
        self.reading.next_number(user, station)
    }
}

/// Reading encrypted conversations.
impl Session {
    /// Follows the conversation to its newest epoch, and reads the messages that came since the
    /// last call, at first the newest 500. One that has no epoch, because older clients alone use it, is
    /// read, too: nobody has signed its messages ([`Received::unsigned`]). The transcript is verified,
    /// and is the one that the state knows. `conversation` is as the server listed it last. If it was
    /// cleared since, reading starts over.
    ///
    /// After an error, or if the call is given up (its future dropped), nothing counts as read: the
    /// next call reads the same rows.
    ///
    /// # Errors
    /// As for [`follow_epochs`](Self::follow_epochs); `BrokenTranscript`: a message is not what was
    /// written, or one is missing; `DifferentTranscript`: the messages are not those that were
    /// shown before, here or to another station of the user's that has written the vault, or that the
    /// list names; `LostMessage`: the newest one that was said from here is not among them.
    pub async fn read(
        &self,
        state: &mut State,
        conversation: &mut Conversation,
        reader: &mut Reader,
    ) -> Result<Vec<Received>, Error> {
        let (id, is_known) = (conversation.id, state.epochs.contains_key(&conversation.id));
        if conversation.epoch == 0 && !is_known {
            state.secrets_before.insert(id, conversation.secret.clone());
        } else {
            self.follow_epochs(state, conversation).await?;
        }
        // A copy, which takes the reader's place once everything is read.
        let mut next = match reader.check_instance(conversation) {
            Ok(()) => reader.clone(),
            Err(_) => Reader::new(),
        };
        let before = state.secrets_before.get(&id);
        next.secret_before = before.and_then(|secret| self.open_published_secret(secret));
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
        if head.seq > 0 {
            // It was compared, and is older than what is known from here on.
            state.vault_heads.remove(&conversation.id);
        }
        state
            .heads
            .insert(conversation.id, (conversation.instance.clone(), head));
        state
            .reading(conversation.id, &conversation.instance)
            .read_back();
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
            let oldest = page.messages.first().filter(|_| reader.begins_late);
            reader.gaps.extend(oldest.map(|row| row.seq));
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
}
