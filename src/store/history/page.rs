//! A page: how much goes onto it, and where the next statement goes on.

use crate::store::rows::HistoryRow;
use parlance_wire::{
    id::{MessageId, ReportId},
    time::Timestamp,
};

/// A page is cut after this many bytes of `Data`, as they are written. From a cursor on, two rows always fit: its own, and the
/// next one, or a reader would never get past two large ones. Before a cursor, one does.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// One statement reads messages of so many bytes at most: what a page does not take is read in vain.
const MAX_CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// One statement reads so many messages at most.
const MAX_CHUNK_ROWS: usize = 250;

/// Which direction a reader goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// From old to new.
    Forward,
    /// From new to old.
    Backward,
}

impl Direction {
    /// Where one begins who names no place.
    pub(super) fn start(self) -> i64 {
        match self {
            Self::Forward => 0,
            Self::Backward => i64::MAX,
        }
    }

    /// Where there is nothing to read any more.
    pub(super) fn end(self) -> i64 {
        match self {
            Self::Forward => i64::MAX,
            Self::Backward => 0,
        }
    }

    /// Where one begins whose row is missing, with nothing there that is not older.
    pub(super) fn missing(self, at: Option<Timestamp>) -> i64 {
        if at.is_some() { i64::MAX } else { self.start() }
    }

    /// Where one goes on who has read this row.
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

/// How many bytes `Data` takes in JSON.
fn json_bytes(data: &str) -> usize {
    let short = data
        .bytes()
        .filter(|byte| matches!(byte, b'"' | b'\\'))
        .count();
    // As `\u0001`: only in what was stored before it was refused.
    let long = data.bytes().filter(|byte| *byte < b' ').count();
    data.len() + short + 5 * long
}

/// What goes onto a page, and what of it is there already.
pub(super) struct PageBuilder<F> {
    each: F,
    /// So many rows of each kind at most.
    pub limit: usize,
    /// So many messages at least, however large.
    min_messages: usize,
    messages: usize,
    reports: usize,
    bytes: usize,
    /// Whether there was a row that it has no room for.
    pub has_more: bool,
}

impl<F: FnMut(HistoryRow)> PageBuilder<F> {
    /// Nothing yet, of so many rows of each kind at most, and so many messages at least.
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

    /// Takes a row, if it has room; else it has more.
    pub(super) fn take(&mut self, row: HistoryRow) {
        let has_room = match &row {
            HistoryRow::Message(row) => {
                let is_cut = self.messages >= self.min_messages && self.bytes >= MAX_PAGE_BYTES;
                self.messages += 1;
                self.bytes += json_bytes(&row.data);
                self.messages <= self.limit && !is_cut
            }
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

    /// How many messages the next statement reads: at most one that the page does not take, which shows that
    /// there are more.
    pub(super) fn chunk(&self, max_message_bytes: usize) -> usize {
        let fitting = (MAX_CHUNK_BYTES / max_message_bytes.max(1)).clamp(2, MAX_CHUNK_ROWS);
        fitting.min(self.limit.saturating_sub(self.messages) + 1)
    }
}
