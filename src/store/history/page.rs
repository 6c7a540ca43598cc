//! A page: how much goes onto it, and where the next statement continues.

use crate::store::rows::HistoryRow;
use parlance_wire::{
    id::{MessageId, ReportId},
    time::Timestamp,
};

/// A page is cut after this many bytes of `Data`, as JSON.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum bytes of `Data` that one statement reads. Twice a page: what the page does not take is read in vain, but
/// most messages are much smaller than they may be.
const MAX_CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// Maximum messages that one statement reads.
const MAX_CHUNK_ROWS: usize = 250;

/// The direction of a read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// From old to new.
    Forward,
    /// From new to old.
    Backward,
}

impl Direction {
    /// Where a read without a cursor begins.
    pub(super) fn start(self) -> i64 {
        match self {
            Self::Forward => 0,
            Self::Backward => i64::MAX,
        }
    }

    /// Where there is nothing left to read.
    pub(super) fn end(self) -> i64 {
        match self {
            Self::Forward => i64::MAX,
            Self::Backward => 0,
        }
    }

    /// Where a read begins whose cursor's row is gone, if no row is as new as the cursor.
    pub(super) fn missing(self, at: Option<Timestamp>) -> i64 {
        if at.is_some() { i64::MAX } else { self.start() }
    }

    /// Where a read continues after this row.
    pub(super) fn after(self, seq: i64) -> i64 {
        match self {
            Self::Forward => seq + 1,
            Self::Backward => seq,
        }
    }
}

/// Where a statement begins to read: at the row with an id, or at a number.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Position {
    /// The message with this id.
    pub message_id: Option<MessageId>,
    /// Else messages from this number on, or before it.
    pub message_seq: Option<i64>,
    /// As for messages.
    pub report_id: Option<ReportId>,
    /// As for messages.
    pub report_seq: Option<i64>,
}

/// The bytes that `Data` takes in JSON.
fn json_bytes(data: &str) -> usize {
    let short = data
        .bytes()
        .filter(|byte| matches!(byte, b'"' | b'\\'))
        .count();
    // As `\u0001`: only in rows that were stored before such characters were refused.
    let long = data.bytes().filter(|byte| *byte < b' ').count();
    data.len() + short + 5 * long
}

/// A page that is being filled.
pub(super) struct PageBuilder<F> {
    each: F,
    /// Maximum rows of each kind.
    limit: usize,
    /// This many messages fit, however large they are.
    min_messages: usize,
    messages: usize,
    reports: usize,
    bytes: usize,
    /// There was a row that did not fit.
    pub has_more: bool,
}

impl<F: FnMut(HistoryRow)> PageBuilder<F> {
    /// An empty page of at most `limit` rows of each kind, which takes `min_messages` however large they are.
    pub(super) fn new(each: F, limit: usize, min_messages: usize) -> Self {
        Self {
            each,
            limit,
            min_messages,
            messages: 0,
            reports: 0,
            bytes: 0,
            has_more: false,
        }
    }

    /// Adds a row, if it fits; else the page has more.
    pub(super) fn push(&mut self, row: HistoryRow) {
        let has_room = match &row {
            HistoryRow::Message(row) => {
                let is_cut = self.messages >= self.min_messages && self.bytes >= MAX_PAGE_BYTES;
                self.messages += 1;
                self.bytes += json_bytes(&row.data);
                self.messages <= self.limit && !is_cut
            }
            // Not by bytes: a report has no content.
            HistoryRow::Report(_) => {
                self.reports += 1;
                self.reports <= self.limit
            }
        };
        if has_room {
            (self.each)(row);
        } else {
            self.has_more = true;
        }
    }

    /// Number of messages that the next statement reads: at most one more than fits, which shows that there are more.
    pub(super) fn message_limit(&self, max_message_bytes: usize) -> i64 {
        let fitting = (MAX_CHUNK_BYTES / max_message_bytes.max(1)).clamp(2, MAX_CHUNK_ROWS);
        as_limit(fitting.min(self.limit.saturating_sub(self.messages) + 1))
    }

    /// Number of reports that a statement reads, as for messages. All at once: reports are small.
    pub(super) fn report_limit(&self) -> i64 {
        as_limit(self.limit + 1)
    }
}

/// A number for `limit`, where the maximum means none.
fn as_limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
