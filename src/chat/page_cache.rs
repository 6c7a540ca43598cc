//! Rendered pages of history: one under construction, and a cache of the newest rows of
//! conversations that were read recently.
//!
//! Each row is rendered as it arrives from the database, so that a page is in memory only once. The
//! wire's format is decided in `api`, which passes the rendering function.
//!
//! Nothing is served on the strength of the cache alone. For each read, `chat::history` asks the
//! database whether the reader takes part, which instance is current, and what the history ends
//! with. Rows before that end never change; but they are purged once they have expired, so a page
//! with an expired row is read again.

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

/// Maximum size of all cached pages.
const MAX_BYTES: u64 = 16 << 20;
/// Maximum size of a conversation's page, for each kind of client.
// Leaves room for at least 64 conversations, however long their pages.
const MAX_PAGE_BYTES: usize = 256 << 10;
/// A page that was not read for this long is evicted.
const IDLE: Duration = Duration::from_mins(10);
/// Minimum number of rows for a page to be cached.
// A shorter page costs no more to read than comparing the head with the database.
const MIN_ROWS: usize = 8;

/// Appends a row in the wire's format.
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
    /// Offset of the first row in the text.
    start: usize,
    /// The offset of each row, counted from the first one.
    offsets: Vec<(Id, usize)>,
}

impl RenderedPage {
    /// An empty page. `messages` and `reports` are the texts before the rows of each kind.
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

    /// Adds a row; messages and reports are each kept in order.
    pub(super) fn push(&mut self, row: &HistoryRow) {
        let (text, valid_until) = match row {
            HistoryRow::Message(row) => (self.messages.begin(row.message_id), row.valid_until),
            HistoryRow::Report(row) => (self.reports.begin(row.report_id), row.valid_until),
        };
        // The error is kept until the page is taken: failing here would abandon the statement that
        // is being read, and so close its connection.
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
        // The reports are appended to the messages in the end; without room for both, a large page
        // would be copied again.
        let rest = self.reports.text.len() + reports.len() + 64;
        self.messages.text.reserve_exact(messages.len() + rest);
        self.messages.text.extend_from_slice(messages);
        self.reports.text.extend_from_slice(reports);
    }

    /// The text of the messages and that of the reports, each with its opening text.
    ///
    /// # Errors A row could not be rendered.
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

    /// Begins a row, which the caller appends to the returned text.
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

    /// Number of rows before the one with this id. Returns `None` if there is no such row.
    fn position(&self, id: Id) -> Option<usize> {
        self.offsets.iter().position(|(other, _)| *other == id)
    }

    /// The text from the row at this position on.
    fn text_from(&self, position: usize) -> &[u8] {
        self.offsets
            .get(position)
            .and_then(|(_, offset)| self.text.get(self.start + offset..))
            // An empty page has neither text nor a row at any position.
            .unwrap_or(&[])
    }

    /// The size in memory.
    // Capacity instead of length, because the cache's limit is about memory.
    fn bytes(&self) -> usize {
        self.text.capacity() + size_of_val(&*self.offsets)
    }
}

/// A recently read page of each conversation, for clients with and without version 4.
#[derive(Debug)]
pub(crate) struct PageCache(Cache<(ConversationId, ClientVersion), Arc<CachedPage>>);

/// The rows of a conversation from somewhere on to its newest one.
#[derive(Debug)]
pub(super) struct CachedPage(Mutex<CachedRows>);

#[derive(Debug)]
struct CachedRows {
    /// The conversation's head when these rows were read, or when the last one was appended.
    head: HistoryHead,
    /// When the first of its rows expires.
    expires_at: Timestamp,
    messages: Rows<MessageId>,
    reports: Rows<ReportId>,
    /// Whether no message precedes them.
    messages_reach_start: bool,
    /// Whether no report precedes them.
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
    /// The cached page of this instance, if it begins at the cursor or before.
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

    /// Caches the rows from a cursor on, up to the conversation's newest one.
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

    /// Appends a row that was just stored, as rendered for the sockets, to the v4 page that ends
    /// right before it.
    // Rows that were announced out of order are not appended: the page is then read again, as if it
    // were not cached.
    pub(super) fn append(
        &self,
        conversation: ConversationId,
        new: &NewRow,
        text: &[u8],
        max_rows: usize,
    ) {
        // Pages for v3 are not appended to, as new rows are rendered for v4 alone. Their head
        // differs now, so they are read again.
        let key = (conversation, ClientVersion::V4);
        let Some(page) = self.0.get(&key) else {
            return;
        };
        let fits = page.locked().append(new, text, max_rows);
        match fits {
            // Inserted again to be weighed again: the cache determines an entry's size only at its
            // insertion.
            Some(true) => self.0.insert(key, page),
            Some(false) => self.0.invalidate(&key),
            None => {}
        }
    }

    /// Forgets all pages, because rows in the middle of a page may have been erased. Rare.
    pub(crate) fn forget(&self) {
        self.0.invalidate_all();
    }

    /// Evicts pages that were not read recently.
    pub(crate) fn evict_idle(&self) {
        self.0.run_pending_tasks();
    }
}

impl CachedPage {
    /// When the first of the rows expires.
    pub(super) fn expires_at(&self) -> Timestamp {
        self.locked().expires_at
    }

    /// Copies the rows from the cursor on, if this is still the conversation's head. Returns
    /// `false` otherwise.
    pub(super) fn copy_to(
        &self,
        page: &mut RenderedPage,
        cursor: &Cursor,
        head: &HistoryHead,
    ) -> bool {
        // Compared and copied under one lock: otherwise a row that is appended in between could be
        // served with the older head.
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
        // A panic during an append leaves a head that does not fit the rows, and then nothing is
        // served: a poisoned lock is still good.
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

    /// Number of messages and of reports before a cursor. Returns `None` if some of them may not be
    /// in the cache.
    fn positions(&self, cursor: &Cursor) -> Option<(usize, usize)> {
        // Only the database can resolve a cursor with a time but no id: the cache is indexed by id,
        // and times are not an order.
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

    /// Returns `None` if the row does not follow the newest one, and `false` if there is no room
    /// for it.
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
