//! Reads a conversation: pages of messages and reports, by cursor. A page takes one statement,
//! which also checks the reader and the instance. Two cases take another one: a page with more
//! messages than one statement reads (128, if they may have 64 KiB), and a cursor whose row is
//! gone.
//!
//! A cursor's id finds its row, and the row's `seq` says where to continue. Times are not an order:
//! clocks differ, and many rows share a second (docs/api.md, The cursor loses nothing).

mod statement;

use sqlx::PgConnection;

use self::statement::{Direction, Start};
use super::{
    Db,
    error::Result,
    rows::{HistoryHead, HistoryRow},
};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, UserId},
    text::Instance,
    time::Timestamp,
};

/// Maximum size of a page, counting `Data` as JSON.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum bytes of `Data` that one statement reads. This is twice a page: rows beyond the page are
/// read in vain, but most messages are much smaller than their maximum.
const MAX_CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// Maximum messages that one statement reads.
const MAX_CHUNK_ROWS: usize = 250;

/// A position in a conversation that the reader has. Without an id and a time, it is the beginning
/// or the end, depending on the direction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    /// The last message that the reader has.
    pub message_id: Option<MessageId>,
    /// Its time, in case the message is gone.
    pub message_at: Option<Timestamp>,
    /// The last report that the reader has.
    pub report_id: Option<ReportId>,
    /// Its time, in case the report is gone.
    pub report_at: Option<Timestamp>,
}

/// A request for a page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageQuery<'a> {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    /// The conversation's instance, according to the reader.
    pub instance: &'a Instance,
    pub cursor: &'a Cursor,
    /// Maximum rows of each kind.
    pub limit: usize,
    /// Maximum bytes of a message's `Data`, which limits how many messages one statement may read.
    pub max_message_bytes: usize,
}

/// The result of reading a page.
#[derive(Debug)]
pub(crate) struct Page {
    /// The conversation's head. If its instance is not the reader's, no rows were read.
    pub head: HistoryHead,
    /// Whether a single statement read the whole page and the head.
    pub is_snapshot: bool,
    /// Whether there are more rows in the direction of the read.
    pub has_more: bool,
}

/// Reads the rows from the cursor on, including its own, oldest first. Returns `None` if there is
/// no such conversation for this user.
pub(crate) async fn from_cursor(
    db: &Db,
    query: PageQuery<'_>,
    each: impl FnMut(HistoryRow) + Send,
) -> Result<Option<Page>> {
    let mut reader = Reader::new(query, Direction::Forward, each);
    db.run(async |c| reader.read(c).await).await
}

/// Reads the newest rows before the cursor, without its own, oldest first. Returns `None` if there
/// is no such conversation for this user.
pub(crate) async fn before_cursor(
    db: &Db,
    query: PageQuery<'_>,
    each: impl FnMut(HistoryRow) + Send,
) -> Result<Option<Page>> {
    // Read backwards so that the limit applies to the newest rows, and reversed here.
    let mut newest_first = vec![];
    let mut reader = Reader::new(query, Direction::Backward, |row| newest_first.push(row));
    let read = db.run(async |c| reader.read(c).await).await?;
    newest_first.into_iter().rev().for_each(each);
    Ok(read)
}

/// The conversation's head. Returns `None` if there is no such conversation for this user.
pub(crate) async fn head(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
) -> Result<Option<HistoryHead>> {
    db.run(async |c| {
        // Only these two tables, as this runs before each page that is served from the cache.
        sqlx::query_as!(
            HistoryHead,
            r#"select c.instance as "instance: Instance", c.last_seq, c.last_report_id as "last_report_id: ReportId",
                   c.chain as "chain: Chain", c.erased
            from participants p
            join conversations c using (conversation_id)
            where p.conversation_id = $1 and p.user_id = $2"#,
            conversation as _,
            user as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// A read in progress, and the page's size so far.
struct Reader<'a, F> {
    query: PageQuery<'a>,
    direction: Direction,
    each: F,
    messages: usize,
    reports: usize,
    bytes: usize,
    /// The number of the last message that was read.
    last_seq: i64,
    /// Whether a row did not fit.
    has_more: bool,
}

impl<'a, F: FnMut(HistoryRow)> Reader<'a, F> {
    fn new(query: PageQuery<'a>, direction: Direction, each: F) -> Self {
        Self {
            query,
            direction,
            each,
            messages: 0,
            reports: 0,
            bytes: 0,
            last_seq: 0,
            has_more: false,
        }
    }

    /// Reads the page in as few statements as possible, nearly always one.
    async fn read(&mut self, c: &mut PgConnection) -> Result<Option<Page>> {
        let cursor = self.query.cursor;
        let start_unless = |has_cursor: bool| (!has_cursor).then_some(self.direction.start());
        let mut start = Start {
            message_seq: start_unless(cursor.message_id.is_some() || cursor.message_at.is_some()),
            report_seq: start_unless(cursor.report_id.is_some() || cursor.report_at.is_some()),
        };
        // All reports at once, as they have no content.
        let mut max_reports = self.query.limit + 1;
        let mut is_snapshot = true;
        // Terminates: only the first round may have to locate the cursor, and each further one
        // continues after the last message.
        loop {
            let (messages, max_messages) = (self.messages, self.next_messages());
            let (query, direction) = (self.query, self.direction);
            let limits = (max_messages, max_reports);
            let Some((head, begun_at)) =
                statement::read(c, query, direction, start, limits, |row| self.push(row)).await?
            else {
                return Ok(None);
            };
            let is_current = head.instance == *self.query.instance;
            let is_located = begun_at.message_seq.is_some() && begun_at.report_seq.is_some();
            if is_current && !is_located {
                start = statement::locate(c, query, direction, begun_at).await?;
            } else if is_current && !self.has_more && self.messages - messages == max_messages {
                let next = match self.direction {
                    Direction::Forward => self.last_seq + 1,
                    Direction::Backward => self.last_seq,
                };
                start = Start {
                    message_seq: Some(next),
                    ..begun_at
                };
                max_reports = 0;
            } else {
                return Ok(Some(Page {
                    head,
                    is_snapshot,
                    has_more: self.has_more,
                }));
            }
            is_snapshot = false;
        }
    }

    /// Adds a row if it fits; otherwise the page has more.
    fn push(&mut self, row: HistoryRow) {
        // Forward, always the cursor's own row and the next one, or a reader would never get past
        // two large messages.
        let min_messages = match self.direction {
            Direction::Forward => 2,
            Direction::Backward => 1,
        };
        let has_room = match &row {
            HistoryRow::Message(row) => {
                let is_cut = self.messages >= min_messages && self.bytes >= MAX_PAGE_BYTES;
                self.messages += 1;
                self.bytes += json_bytes(&row.data);
                self.last_seq = row.seq;
                self.messages <= self.query.limit && !is_cut
            }
            // Not limited by size, as a report has no content.
            HistoryRow::Report(_) => {
                self.reports += 1;
                self.reports <= self.query.limit
            }
        };
        if has_room {
            (self.each)(row);
        } else {
            self.has_more = true;
        }
    }

    /// Number of messages for the next statement: at most one more than fits, which shows whether
    /// there are more.
    fn next_messages(&self) -> usize {
        let fitting =
            (MAX_CHUNK_BYTES / self.query.max_message_bytes.max(1)).clamp(2, MAX_CHUNK_ROWS);
        fitting.min(self.query.limit.saturating_sub(self.messages) + 1)
    }
}

/// The size of `Data` in JSON.
fn json_bytes(data: &str) -> usize {
    let short = data
        .bytes()
        .filter(|byte| matches!(byte, b'"' | b'\\'))
        .count();
    // Written as `\u0001`: only in rows that were stored before such characters were refused.
    let long = data.bytes().filter(|byte| *byte < b' ').count();
    data.len() + short + 5 * long
}
