//! Caches rendered pages of history: the newest rows of conversations that were read recently. The
//! wire's format is decided in `api`, which passes the rendering function.
//!
//! Nothing is served on the strength of the cache alone. For each read, `chat::history` asks the
//! database whether the reader takes part, which instance is current, what the history ends with,
//! and how many messages were erased. Rows before that end never change otherwise; but they are
//! purged once they have expired, so a page with an expired row is read again.

mod page;

pub(crate) use self::page::RenderedPage;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;

use self::page::Rows;
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
// Leaves room for at least 64 pages, however long: 32 conversations, if clients with and without
// version 4 read each of them.
const MAX_PAGE_BYTES: usize = 256 << 10;
/// A page that was not read for this long is evicted.
const IDLE: Duration = Duration::from_mins(10);
/// Minimum number of rows for a page to be cached.
// A shorter page costs no more to read than comparing the head with the database.
const MIN_ROWS: usize = 8;

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

    /// Whether the conversation has a page that [`Self::append`] may append to.
    // Not `get`, which counts as a use: a write must not keep a page that nobody reads.
    pub(super) fn is_appended_to(&self, conversation: ConversationId) -> bool {
        self.0.contains_key(&(conversation, ClientVersion::V4))
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
