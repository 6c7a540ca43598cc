//! History: pages of messages and reports, read without gaps, and the cache of those that were read
//! recently: the newest rows of each conversation, rendered.
//!
//! Nothing is served on the strength of the cache alone. Each read asks the database whether the
//! reader takes part, which instance is current, what the history ends with, and how many messages
//! were erased. Rows before that end never change otherwise; but they are purged once they have
//! expired, so a page with an expired row is read again.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::sync::Cache;

use super::{Call, error::Error};
use crate::notify::event::{Event, NewRow};
use crate::store::{
    self,
    history::{Cursor, PageQuery},
    rows::{HistoryHead, HistoryRow},
};
use parlance_wire::{
    id::{ConversationId, MessageId, ReportId},
    text::Instance,
    time::Timestamp,
    version::ClientVersion,
};

/// Maximum rows of each kind in an answer to `download`.
// After months of absence a reader gets pages, instead of one answer that is in memory as a whole.
const DOWNLOAD_ROWS: usize = 1000;
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

/// Fills a page with the rows from the cursor on, including its own row. Returns `true` if the page
/// was cut: the conversation then stays pending for the station, on every node, so that a client
/// comes back for the rest.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn download(
    call: &mut Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    page: &mut RenderedPage,
) -> Result<bool, Error> {
    let counters = call.services.db.counters();
    if copy_cached(call, conversation, instance, cursor, page).await? {
        counters.cache_hits.pages.inc();
        return Ok(false);
    }
    counters.cache_misses.pages.inc();
    let query = query(call, conversation, instance, cursor, DOWNLOAD_ROWS);
    let read = store::history::from_cursor(&call.services.db, query, |row| page.push(&row));
    let read = Box::pin(read).await?.ok_or(Error::ConversationNotFound)?;
    // The statement that read the rows also returned the head, so no `clear` can come in between.
    let head = current(read.head, instance)?;
    if read.has_more {
        call.outbox.push(Event::PageCut {
            conversation,
            reader: call.user,
            station: call.station,
        });
    } else if read.is_snapshot {
        // Only an uncut page ends with the newest row, to which new rows can be appended.
        let pages = &call.services.pages;
        pages.insert(conversation, call.version, head, cursor, page);
    }
    Ok(read.has_more)
}

/// Fills a page with the newest `limit` rows of each kind before the cursor. Returns `true` if there are more.
///
/// # Errors
/// `ConversationNotFound`, `StaleInstance`.
pub(crate) async fn download_partial(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    limit: usize,
    page: &mut RenderedPage,
) -> Result<bool, Error> {
    let query = query(call, conversation, instance, cursor, limit);
    let read = store::history::before_cursor(&call.services.db, query, |row| page.push(&row));
    let read = Box::pin(read).await?.ok_or(Error::ConversationNotFound)?;
    current(read.head, instance)?;
    Ok(read.has_more)
}

/// Fills a page from the cache. Returns `false` if no cached page equals what the database would
/// answer now.
async fn copy_cached(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &Instance,
    cursor: &Cursor,
    page: &mut RenderedPage,
) -> Result<bool, Error> {
    let pages = &call.services.pages;
    let Some(cached) = pages.get(conversation, call.version, instance, cursor) else {
        return Ok(false);
    };
    // The first row may have been purged by now, and must not be served for longer than the
    // database would serve it.
    let expires_at = locked(&cached).expires_at;
    if expires_at.plus(call.services.policy.expiry_grace) <= call.now {
        return Ok(false);
    }
    // The reader may have been removed, the conversation cleared, and rows added, here or on
    // another node.
    let head = store::history::head(&call.services.db, conversation, call.user).await?;
    let head = current(head.ok_or(Error::ConversationNotFound)?, instance)?;
    // Compared and copied under one lock: otherwise a row that is appended in between could be
    // served with the older head.
    Ok(locked(&cached).copy_to(page, cursor, &head))
}

/// A conversation's head, if its instance is the reader's.
fn current(head: HistoryHead, instance: &Instance) -> Result<HistoryHead, Error> {
    if head.instance == *instance {
        Ok(head)
    } else {
        Err(Error::StaleInstance(head.instance))
    }
}

fn query<'a>(
    call: &Call<'_>,
    conversation: ConversationId,
    instance: &'a Instance,
    cursor: &'a Cursor,
    limit: usize,
) -> PageQuery<'a> {
    PageQuery {
        conversation_id: conversation,
        user_id: call.user,
        instance,
        cursor,
        limit,
        max_message_bytes: call.services.policy.max_message_bytes,
    }
}

/// A recently read page of each conversation, for clients with and without version 4.
#[derive(Debug)]
pub(crate) struct PageCache(Cache<(ConversationId, ClientVersion), Arc<Mutex<CachedRows>>>);

/// The rows of a conversation from somewhere on to its newest one.
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
        let weight = |_: &_, page: &Arc<Mutex<CachedRows>>| {
            let rows = locked(page);
            let bytes = size_of_val(&*rows) + rows.messages.bytes() + rows.reports.bytes();
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
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
    fn get(
        &self,
        conversation: ConversationId,
        version: ClientVersion,
        instance: &Instance,
        cursor: &Cursor,
    ) -> Option<Arc<Mutex<CachedRows>>> {
        self.0
            .get(&(conversation, version))
            .filter(|page| locked(page).has_rows_from(instance, cursor))
    }

    /// Caches the rows from a cursor on, up to the conversation's newest one.
    fn insert(
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
        let cached = Mutex::new(CachedRows {
            head,
            expires_at,
            messages: page.messages.to_owned(),
            reports: page.reports.to_owned(),
            messages_reach_start: cursor.message_id.is_none() && cursor.message_at.is_none(),
            reports_reach_start: cursor.report_id.is_none() && cursor.report_at.is_none(),
        });
        self.0.insert((conversation, version), Arc::new(cached));
    }

    /// Appends the rows that a call has stored to the v4 pages that end right before them, as
    /// rendered for the sockets.
    // Before they are announced, because notified clients download at once and should find the page
    // up to date. Without rows, or if they are out of order, there is nothing to append: the page no
    // longer has the conversation's head, and is read again.
    pub(crate) fn append(&self, events: &[Event]) -> Result<(), Error> {
        for event in events {
            let Event::ConversationChanged {
                conversation,
                new: Some(new),
                ..
            } = event
            else {
                continue;
            };
            // Pages for v3 are not appended to, as new rows are rendered for v4 alone. Their head
            // differs now, so they are read again.
            let key = (*conversation, ClientVersion::V4);
            // Most conversations that are written to have no page, and to render costs more than to
            // look. Not `get`, which counts as a use: a write must not keep a page that nobody reads.
            if self.0.contains_key(&key) {
                for row in &new.rows {
                    self.append_row(key, row)?;
                }
            }
        }
        Ok(())
    }

    fn append_row(&self, key: (ConversationId, ClientVersion), new: &NewRow) -> Result<(), Error> {
        let text = new.json().map_err(|error| Error::Internal(error.into()))?;
        if let Some(page) = self.0.get(&key) {
            let fits = locked(&page).append(new, text.get().as_bytes());
            match fits {
                // Inserted again to be weighed again: the cache determines an entry's size only at
                // its insertion.
                Some(true) => self.0.insert(key, page),
                Some(false) => self.0.invalidate(&key),
                None => {}
            }
        }
        Ok(())
    }

    /// Evicts pages that were not read recently.
    pub(crate) fn evict_idle(&self) {
        self.0.run_pending_tasks();
    }
}

fn locked(page: &Mutex<CachedRows>) -> MutexGuard<'_, CachedRows> {
    // A panic during an append leaves a head that does not fit the rows, and then nothing is served:
    // a poisoned lock is still good.
    page.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CachedRows {
    /// Copies the rows from the cursor on, if this is still the conversation's head. Returns
    /// `false` otherwise.
    fn copy_to(&self, page: &mut RenderedPage, cursor: &Cursor, head: &HistoryHead) -> bool {
        let positions = self.positions(cursor).filter(|_| self.head == *head);
        let Some((messages, reports)) = positions else {
            return false;
        };
        let (messages, reports) = (
            self.messages.text_from(messages),
            self.reports.text_from(reports),
        );
        page.copy(messages, reports);
        true
    }

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
    fn append(&mut self, new: &NewRow, text: &[u8]) -> Option<bool> {
        if self.head.instance != new.instance || self.head.last_seq + 1 != new.seq {
            return None;
        }
        let (rows, valid_until) = match &new.row {
            HistoryRow::Message(row) => (self.messages.offsets.len(), row.valid_until),
            HistoryRow::Report(row) => (self.reports.offsets.len(), row.valid_until),
        };
        let bytes = self.messages.bytes() + self.reports.bytes() + text.len();
        // `download` would cut a page with more rows, and say so.
        if rows >= DOWNLOAD_ROWS || bytes > MAX_PAGE_BYTES {
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

/// The messages and the reports of a page as text: each row is rendered as it arrives from the
/// database, so that a page is in memory only once.
#[derive(Debug)]
pub(crate) struct RenderedPage {
    messages: Rows<MessageId>,
    reports: Rows<ReportId>,
    /// When the first of its rows expires.
    expires_at: Option<Timestamp>,
    version: ClientVersion,
    failed: Option<serde_json::Error>,
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
    pub(crate) fn new(messages: Vec<u8>, reports: Vec<u8>, version: ClientVersion) -> Self {
        Self {
            messages: Rows::after(messages),
            reports: Rows::after(reports),
            expires_at: None,
            version,
            failed: None,
        }
    }

    /// Adds a row; messages and reports are each kept in order.
    fn push(&mut self, row: &HistoryRow) {
        let (rendered, valid_until) = match row {
            HistoryRow::Message(row) => {
                let text = self.messages.begin(row.message_id);
                let rendered = serde_json::to_writer(text, &row.view(self.version));
                (rendered, row.valid_until)
            }
            HistoryRow::Report(row) => {
                let text = self.reports.begin(row.report_id);
                (serde_json::to_writer(text, &row.view()), row.valid_until)
            }
        };
        // The error is kept until the page is taken: failing here would abandon the statement that
        // is being read, and so close its connection.
        if let Err(error) = rendered {
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
    /// # Errors
    /// A row could not be rendered.
    pub(crate) fn into_text(self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        match self.failed {
            None => Ok((self.messages.text, self.reports.text)),
            Some(error) => Err(Error::Internal(error.into())),
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

#[cfg(test)]
mod tests;
