//! The newest rows of conversations that were read lately, as text. Who asks for them again, while nothing was added, is
//! shown them without reading them once more.
//!
//! Nothing is shown on the strength of this alone: each time the database is asked whether the reader takes part, which
//! life the conversation lives, and what its history ends with (`message::newest`). Rows before that never change; but they
//! are purged once they expired, so what has expired is not shown from here.

use std::{sync::Arc, time::Duration};

use moka::sync::Cache;

use crate::store::{history::Cursor, rows::HistoryHead};
use parlance_wire::{
    id::{ConversationId, MessageId, ReportId},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};

/// All that is kept has so many bytes.
const MOST_BYTES: u64 = 16 << 20;
/// What nobody asked for in this time goes.
const IDLE: Duration = Duration::from_mins(10);
/// Rows of fewer messages and reports cost no more to read than to look for here.
const WORTH: usize = 8;
/// More text of one conversation is not kept.
const MOST_OF_ONE: usize = 256 << 10;

/// What was read lately, for each conversation and for clients with and without version 4.
#[derive(Debug)]
pub(crate) struct PageCache(Cache<(ConversationId, ClientVersion), Arc<Tail>>);

/// The rows of a conversation from somewhere on to its newest one.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The life of the conversation that they belong to.
    pub instance: Instance,
    /// What the conversation ended with when they were read.
    pub newest: HistoryHead,
    /// When the first of them expires.
    pub ends_at: Timestamp,
    pub messages: Rows<MessageId>,
    pub reports: Rows<ReportId>,
}

/// Rows of one kind, oldest first.
#[derive(Debug)]
pub(crate) struct Rows<Id> {
    /// As they are shown, one after the other.
    pub text: Vec<u8>,
    /// Where in the text each begins.
    pub places: Vec<(Id, usize)>,
    /// Whether there are none before them.
    pub is_all: bool,
}

/// Whether so many messages and reports, of so many bytes, are better kept than read again.
#[must_use]
pub(crate) fn is_worth(rows: usize, bytes: usize) -> bool {
    rows >= WORTH && bytes <= MOST_OF_ONE
}

impl Default for PageCache {
    fn default() -> Self {
        let weight = |_: &_, tail: &Arc<Tail>| u32::try_from(tail.bytes()).unwrap_or(u32::MAX);
        Self(
            Cache::builder()
                .max_capacity(MOST_BYTES)
                .weigher(weight)
                .time_to_idle(IDLE)
                .build(),
        )
    }
}

impl PageCache {
    /// What is kept of a conversation in this life, if it has what a reader wants who stands there, and it is worth it.
    #[must_use]
    pub(crate) fn tail(
        &self,
        conversation: ConversationId,
        version: ClientVersion,
        instance: &Instance,
        cursor: &Cursor,
    ) -> Option<Arc<Tail>> {
        let tail = self
            .0
            .get(&(conversation, version))
            .filter(|tail| tail.instance == *instance)?;
        let (messages, reports) = tail.places(cursor)?;
        let rows = tail.messages.places.len() - messages + tail.reports.places.len() - reports;
        is_worth(rows, 0).then_some(tail)
    }

    /// Keeps what was read.
    pub(crate) fn keep(&self, conversation: ConversationId, version: ClientVersion, tail: Tail) {
        self.0.insert((conversation, version), Arc::new(tail));
    }

    /// Lets go of what nobody asked for lately.
    pub(crate) fn sweep(&self) {
        self.0.run_pending_tasks();
    }
}

impl Tail {
    /// The messages and the reports from a cursor on, as they are shown. `None`: there may be others.
    #[must_use]
    pub(crate) fn from(&self, cursor: &Cursor) -> Option<(&[u8], &[u8])> {
        let (messages, reports) = self.places(cursor)?;
        Some((
            self.messages.text_from(messages),
            self.reports.text_from(reports),
        ))
    }

    /// How many messages and reports are before a cursor.
    fn places(&self, cursor: &Cursor) -> Option<(usize, usize)> {
        let messages = self.messages.place(cursor.message_id, cursor.message_at)?;
        Some((
            messages,
            self.reports.place(cursor.report_id, cursor.report_at)?,
        ))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.messages.text.capacity()
            + self.reports.text.capacity()
            + size_of_val(&*self.messages.places)
            + size_of_val(&*self.reports.places)
    }
}

impl<Id: PartialEq> Rows<Id> {
    fn place(&self, id: Option<Id>, at: Option<Timestamp>) -> Option<usize> {
        match id {
            Some(id) => self.places.iter().position(|(other, _)| *other == id),
            None => (self.is_all && at.is_none()).then_some(0),
        }
    }

    fn text_from(&self, place: usize) -> &[u8] {
        let from = self
            .places
            .get(place)
            .map_or(self.text.len(), |(_, from)| *from);
        self.text.get(from..).unwrap_or_default()
    }
}
