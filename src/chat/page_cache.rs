//! Pages of history as text: one under construction, and the newest rows of conversations that were read lately, which
//! are not read again while nothing is added.
//!
//! Each row is rendered as it arrives from the database, so that a page is in memory only once. How a row looks on the
//! wire is decided in `api`, which passes the function.
//!
//! Nothing is served on the strength of the cache alone. Each time `chat::history` asks the database whether the reader
//! takes part, which instance is current, what the history ends with, and how many messages were erased. Rows before that
//! never change otherwise; but they are purged once they have expired, so a page with an expired row is read again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;

use super::error::Error;
use crate::notify::event::NewRow;
use crate::store::{
    history::Cursor,
    rows::{HistoryHead, HistoryRow},
};
use parlance_wire::{
    id::{ConversationId, MessageId, ReportId},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};

/// Maximum bytes of all pages.
const MAX_BYTES: u64 = 16 << 20;
/// Maximum bytes of one conversation, for each kind of client.
// So there is room for at least 64 conversations, however long their pages.
const MAX_PAGE_BYTES: usize = 256 << 10;
/// A page that was not read in this time is evicted.
const IDLE: Duration = Duration::from_mins(10);
/// Minimum rows of a page.
// Fewer cost no more to read than to compare the head with the database.
const MIN_ROWS: usize = 8;

/// Appends a row as the wire shows it.
type Render = fn(&mut Vec<u8>, &HistoryRow, ClientVersion) -> Result<(), Error>;

/// The messages and the reports of a page.
#[derive(Debug)]
pub(crate) struct RenderedPage {
    messages: Rows<MessageId>,
    reports: Rows<ReportId>,
    /// When the first of its rows expires.
    expires_at: Option<Timestamp>,
    version: ClientVersion,
    render: Render,
    failed: Option<Error>,
}

/// Rows of one kind, oldest first.
#[derive(Debug)]
struct Rows<Id> {
    /// The text before the rows, then the rows with commas between them.
    text: Vec<u8>,
    /// Where the rows begin in the text.
    start: usize,
    /// Where each row begins, counted from the first one.
    offsets: Vec<(Id, usize)>,
}

impl RenderedPage {
    /// A page without rows. `messages` and `reports` are the text before the rows of each kind.
    pub(crate) fn new(
        messages: Vec<u8>,
        reports: Vec<u8>,
        version: ClientVersion,
        render: Render,
    ) -> Self {
        Self {
            messages: Rows::after(messages),
            reports: Rows::after(reports),
            expires_at: None,
            version,
            render,
            failed: None,
        }
    }

    /// Adds a row; messages and reports keep their own order.
    pub(super) fn push(&mut self, row: &HistoryRow) {
        let (text, valid_until) = match row {
            HistoryRow::Message(row) => (self.messages.begin(row.message_id), row.valid_until),
            HistoryRow::Report(row) => (self.reports.begin(row.report_id), row.valid_until),
        };
        // Kept until the page is taken: an error here must not abandon the statement that is being read, as that would
        // close its connection.
        if let Err(error) = (self.render)(text, row, self.version) {
            self.failed = Some(error);
        }
        self.expires_at = Some(
            self.expires_at
                .map_or(valid_until, |expires_at| expires_at.min(valid_until)),
        );
    }

    /// Adds rows that are rendered already.
    fn copy(&mut self, messages: &[u8], reports: &[u8]) {
        // The reports are appended to the messages in the end: without room for both, a large page would be copied again.
        let rest = self.reports.text.len() + reports.len() + 64;
        self.messages.text.reserve_exact(messages.len() + rest);
        self.messages.text.extend_from_slice(messages);
        self.reports.text.extend_from_slice(reports);
    }

    /// The text of the messages and that of the reports, each after its opening text.
    ///
    /// # Errors
    /// A row could not be rendered.
    pub(crate) fn into_text(self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        match self.failed {
            None => Ok((self.messages.text, self.reports.text)),
            Some(error) => Err(error),
        }
    }
}

impl<Id: Copy + PartialEq> Rows<Id> {
    fn after(text: Vec<u8>) -> Self {
        Self {
            start: text.len(),
            text,
            offsets: vec![],
        }
    }

    /// Begins a row. The caller appends it to the text that is returned.
    fn begin(&mut self, id: Id) -> &mut Vec<u8> {
        if !self.offsets.is_empty() {
            self.text.push(b',');
        }
        self.offsets.push((id, self.text.len() - self.start));
        &mut self.text
    }

    /// The rows alone.
    fn to_owned(&self) -> Self {
        Self {
            text: self.text_from(0).to_vec(),
            start: 0,
            offsets: self.offsets.clone(),
        }
    }

    /// How many rows stand before the one with this id. Returns `None` if it is not here.
    fn position(&self, id: Id) -> Option<usize> {
        self.offsets.iter().position(|(other, _)| *other == id)
    }

    /// The text from the row at this position on.
    fn text_from(&self, position: usize) -> &[u8] {
        self.offsets
            .get(position)
            .and_then(|(_, offset)| self.text.get(self.start + offset..))
            // An empty page has no row at any position, and no text.
            .unwrap_or(&[])
    }

    /// The bytes in memory.
    // Capacity, not length: the cache's limit is about memory.
    fn bytes(&self) -> usize {
        self.text.capacity() + size_of_val(&*self.offsets)
    }
}

/// A page of each conversation that was read lately, for clients with and without version 4.
#[derive(Debug)]
pub(crate) struct PageCache(Cache<(ConversationId, ClientVersion), Arc<CachedPage>>);

/// The rows of a conversation from somewhere on to its newest one.
#[derive(Debug)]
pub(super) struct CachedPage(Mutex<CachedRows>);

#[derive(Debug)]
struct CachedRows {
    /// The newest rows of the conversation when these were read, or since one was appended.
    head: HistoryHead,
    /// When the first of them expires.
    expires_at: Timestamp,
    messages: Rows<MessageId>,
    reports: Rows<ReportId>,
    /// No message precedes them.
    messages_reach_start: bool,
    /// No report precedes them.
    reports_reach_start: bool,
}

fn worth_caching(rows: usize, bytes: usize) -> bool {
    rows >= MIN_ROWS && bytes <= MAX_PAGE_BYTES
}

impl Default for PageCache {
    fn default() -> Self {
        let weight =
            |_: &_, page: &Arc<CachedPage>| u32::try_from(page.bytes()).unwrap_or(u32::MAX);
        Self(
            Cache::builder()
                .max_capacity(MAX_BYTES)
                .weigher(weight)
                .time_to_idle(IDLE)
                .build(),
        )
    }
}

impl PageCache {
    /// A page of this conversation's instance that begins at the cursor or before it.
    pub(super) fn get(
        &self,
        conversation: ConversationId,
        version: ClientVersion,
        instance: &Instance,
        cursor: &Cursor,
    ) -> Option<Arc<CachedPage>> {
        self.0
            .get(&(conversation, version))
            .filter(|page| page.locked().has_rows_from(instance, cursor))
    }

    /// Caches the rows from a cursor on, up to the newest one of the conversation.
    pub(super) fn insert(
        &self,
        conversation: ConversationId,
        version: ClientVersion,
        head: HistoryHead,
        cursor: &Cursor,
        page: &RenderedPage,
    ) {
        let rows = page.messages.offsets.len() + page.reports.offsets.len();
        let bytes = page.messages.bytes() + page.reports.bytes();
        let Some(expires_at) = page
            .expires_at
            .filter(|_| worth_caching(rows, bytes) && page.failed.is_none())
        else {
            return;
        };
        let cached = CachedPage(Mutex::new(CachedRows {
            head,
            expires_at,
            messages: page.messages.to_owned(),
            reports: page.reports.to_owned(),
            messages_reach_start: cursor.message_id.is_none() && cursor.message_at.is_none(),
            reports_reach_start: cursor.report_id.is_none() && cursor.report_at.is_none(),
        }));
        self.0.insert((conversation, version), Arc::new(cached));
    }

    /// Adds a row that was just stored to the v4 page that ends right before it, as it was rendered for the sockets.
    // Rows that were announced out of order do not join: then the page is read again, as if nothing were cached.
    pub(super) fn append(
        &self,
        conversation: ConversationId,
        new: &NewRow,
        text: &[u8],
        max_rows: usize,
    ) {
        // Pages for v3 are not appended to: rows are rendered at their commit for v4 alone. Their head differs now, so they
        // are read again.
        let key = (conversation, ClientVersion::V4);
        let Some(page) = self.0.get(&key) else {
            return;
        };
        let fits = page.locked().append(new, text, max_rows);
        match fits {
            // Inserted again to be weighed again: the cache knows an entry's size only as of its insertion.
            Some(true) => self.0.insert(key, page),
            Some(false) => self.0.invalidate(&key),
            None => {}
        }
    }

    /// Evicts pages that were not read lately.
    pub(crate) fn evict_idle(&self) {
        self.0.run_pending_tasks();
    }
}

impl CachedPage {
    /// When the first of the rows expires.
    pub(super) fn expires_at(&self) -> Timestamp {
        self.locked().expires_at
    }

    /// Copies the rows from the cursor on, if the conversation still ends with this head. Returns `false` otherwise.
    pub(super) fn copy_to(
        &self,
        page: &mut RenderedPage,
        cursor: &Cursor,
        head: &HistoryHead,
    ) -> bool {
        // Compared and copied under one lock: a row that is appended in between would be served with the older head.
        let rows = self.locked();
        let Some((messages, reports)) = rows.positions(cursor).filter(|_| rows.head == *head)
        else {
            return false;
        };
        page.copy(
            rows.messages.text_from(messages),
            rows.reports.text_from(reports),
        );
        true
    }

    fn bytes(&self) -> usize {
        let rows = self.locked();
        size_of::<Self>() + rows.messages.bytes() + rows.reports.bytes()
    }

    fn locked(&self) -> MutexGuard<'_, CachedRows> {
        // Nothing panics while it holds the lock; if it did, the head would not fit the rows, and nothing is shown.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedRows {
    fn has_rows_from(&self, instance: &Instance, cursor: &Cursor) -> bool {
        let all = self.messages.offsets.len() + self.reports.offsets.len();
        self.head.instance == *instance
            && self
                .positions(cursor)
                .is_some_and(|(messages, reports)| worth_caching(all - messages - reports, 0))
    }

    /// How many messages and reports are before a cursor. Returns `None` if there may be some that are not here.
    fn positions(&self, cursor: &Cursor) -> Option<(usize, usize)> {
        // A cursor with a time and no id can be resolved only by the database: the cache knows ids, and times are no order.
        let messages = match cursor.message_id {
            Some(id) => self.messages.position(id)?,
            None if self.messages_reach_start && cursor.message_at.is_none() => 0,
            None => return None,
        };
        let reports = match cursor.report_id {
            Some(id) => self.reports.position(id)?,
            None if self.reports_reach_start && cursor.report_at.is_none() => 0,
            None => return None,
        };
        Some((messages, reports))
    }

    /// Returns `None` where the row does not follow the newest one here, and `false` where there is no room for it.
    fn append(&mut self, new: &NewRow, text: &[u8], max_rows: usize) -> Option<bool> {
        if self.head.instance != new.instance || self.head.last_seq + 1 != new.seq {
            return None;
        }
        let (rows, valid_until) = match &new.row {
            HistoryRow::Message(row) => (self.messages.offsets.len(), row.valid_until),
            HistoryRow::Report(row) => (self.reports.offsets.len(), row.valid_until),
        };
        let bytes = self.messages.bytes() + self.reports.bytes() + text.len();
        if rows >= max_rows || bytes > MAX_PAGE_BYTES {
            return Some(false);
        }
        match &new.row {
            HistoryRow::Message(row) => {
                self.messages.begin(row.message_id).extend_from_slice(text);
                self.head.chain = Some(row.chain);
            }
            HistoryRow::Report(row) => {
                self.reports.begin(row.report_id).extend_from_slice(text);
                self.head.last_report_id = Some(row.report_id);
            }
        }
        self.head.last_seq = new.seq;
        self.expires_at = self.expires_at.min(valid_until);
        Some(true)
    }
}
