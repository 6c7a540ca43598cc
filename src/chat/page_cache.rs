//! The newest rows of conversations that were read lately, as text: a page that nothing was added to is not read again.
//!
//! Nothing is shown on the strength of the cache alone. Each time `chat::history` asks the database whether the reader
//! takes part, which instance is current, and what the history ends with. Rows before that never change; but they are
//! purged once they have expired, so a page with an expired row is read again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;

use super::history::{RenderedPage, Rows};
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
// Sixty-four conversations at least have room, however long their pages.
const MAX_PAGE_BYTES: usize = 256 << 10;
/// A page that nobody asked for in this time is evicted.
const IDLE: Duration = Duration::from_mins(10);
/// Minimum rows of a page.
// Fewer cost no more to read than to compare the head with the database.
const MIN_ROWS: usize = 8;

/// A page of each conversation that was read lately, for clients with and without version 4.
#[derive(Debug)]
pub(crate) struct PageCache(Cache<(ConversationId, ClientVersion), Arc<CachedPage>>);

/// The rows of a conversation from somewhere on to its newest one.
#[derive(Debug)]
pub(super) struct CachedPage {
    /// The instance that they belong to.
    instance: Instance,
    rows: Mutex<CachedRows>,
}

#[derive(Debug)]
struct CachedRows {
    /// What the conversation ended with when they were read, or since a row was appended.
    head: HistoryHead,
    /// When the first of them expires.
    expires_at: Timestamp,
    messages: Rows<MessageId>,
    reports: Rows<ReportId>,
    /// No message is before them.
    messages_reach_start: bool,
    /// No report is before them.
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
            .filter(|page| page.instance == *instance && page.locked().has_rows_from(cursor))
    }

    /// Keeps the rows from a cursor on, with which the conversation ends.
    pub(super) fn insert(
        &self,
        conversation: ConversationId,
        version: ClientVersion,
        instance: &Instance,
        head: HistoryHead,
        cursor: &Cursor,
        page: &RenderedPage,
    ) {
        let rows = page.messages.offsets.len() + page.reports.offsets.len();
        let bytes = page.messages.bytes() + page.reports.bytes();
        let Some(expires_at) = page
            .expires_at
            .filter(|_| worth_caching(rows, bytes) && !page.has_failed())
        else {
            return;
        };
        let cached = CachedPage {
            instance: instance.clone(),
            rows: Mutex::new(CachedRows {
                head,
                expires_at,
                messages: page.messages.to_owned(),
                reports: page.reports.to_owned(),
                messages_reach_start: cursor.message_id.is_none() && cursor.message_at.is_none(),
                reports_reach_start: cursor.report_id.is_none() && cursor.report_at.is_none(),
            }),
        };
        self.0.insert((conversation, version), Arc::new(cached));
    }

    /// Adds a row that was just stored to the v4 page that ends right before it, as it was rendered for the sockets.
    // Rows that were announced out of order do not join: then the page is read again, as if nothing were cached.
    pub(super) fn append(
        &self,
        conversation: ConversationId,
        instance: &Instance,
        seq: i64,
        row: &HistoryRow,
        text: &[u8],
        max_rows: usize,
    ) {
        let key = (conversation, ClientVersion::V4);
        let Some(page) = self.0.get(&key).filter(|page| page.instance == *instance) else {
            return;
        };
        let fits = page.locked().append(seq, row, text, max_rows);
        match fits {
            // Weighed anew: the cache counts what an entry had when it was put in.
            Some(true) => self.0.insert(key, page),
            Some(false) => self.0.invalidate(&key),
            None => {}
        }
    }

    /// Forgets all pages: messages before the newest ones were erased. Rare.
    pub(crate) fn forget(&self) {
        self.0.invalidate_all();
    }

    /// Drops what nobody asked for lately.
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
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CachedRows {
    fn has_rows_from(&self, cursor: &Cursor) -> bool {
        self.positions(cursor).is_some_and(|(messages, reports)| {
            let rows =
                self.messages.offsets.len() - messages + self.reports.offsets.len() - reports;
            worth_caching(rows, 0)
        })
    }

    /// How many messages and reports are before a cursor. Returns `None` if there may be some that are not here.
    fn positions(&self, cursor: &Cursor) -> Option<(usize, usize)> {
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
    fn append(&mut self, seq: i64, row: &HistoryRow, text: &[u8], max_rows: usize) -> Option<bool> {
        if self.head.last_seq + 1 != seq {
            return None;
        }
        let (rows, valid_until) = match row {
            HistoryRow::Message(row) => (self.messages.offsets.len(), row.valid_until),
            HistoryRow::Report(row) => (self.reports.offsets.len(), row.valid_until),
        };
        let bytes = self.messages.bytes() + self.reports.bytes() + text.len();
        // A page of more rows would have been cut.
        if rows >= max_rows || bytes > MAX_PAGE_BYTES {
            return Some(false);
        }
        match row {
            HistoryRow::Message(row) => {
                self.messages.begin(row.message_id).extend_from_slice(text);
                self.head.chain = Some(row.chain);
            }
            HistoryRow::Report(row) => {
                self.reports.begin(row.report_id).extend_from_slice(text);
                self.head.last_report_id = Some(row.report_id);
            }
        }
        self.head.last_seq = seq;
        self.expires_at = self.expires_at.min(valid_until);
        Some(true)
    }
}
