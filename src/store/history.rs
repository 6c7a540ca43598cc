//! Reads a conversation: pages of messages and reports, by cursor. A page takes one statement,
//! which also checks the reader and the instance. Two cases take another one: a page with more
//! messages than one statement reads (128, if they may have 64 KiB), and a cursor whose row is
//! gone.
//!
//! A cursor's id finds its row, and the row's `seq` says where to continue. Times are not an order:
//! clocks differ, and many rows share a second (docs/api.md, The cursor loses nothing).

use futures_util::TryStreamExt;
use sqlx::PgConnection;

use super::{
    Db,
    error::{Result, impossible},
    rows::{HistoryHead, HistoryRow, MessageRow, ReportRow},
};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
    word::ReportType,
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
                read_rows(c, query, direction, start, limits, |row| self.push(row)).await?
            else {
                return Ok(None);
            };
            let is_current = head.instance == *self.query.instance;
            let is_located = begun_at.message_seq.is_some() && begun_at.report_seq.is_some();
            if is_current && !is_located {
                start = locate(c, query, direction, begun_at).await?;
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

#[derive(Debug, Clone, Copy)]
enum Direction {
    /// From old to new.
    Forward,
    /// From new to old.
    Backward,
}

impl Direction {
    /// The position of a read without a cursor.
    fn start(self) -> i64 {
        match self {
            Self::Forward => 0,
            Self::Backward => i64::MAX,
        }
    }
}

/// The numbers at which a statement begins. `None`: at the row with the cursor's id, or that row
/// does not exist.
#[derive(Debug, Clone, Copy)]
struct Start {
    message_seq: Option<i64>,
    report_seq: Option<i64>,
}

/// A row of the result. One is the conversation's, with its instance; the others are messages,
/// which have a number, and reports, which have an id.
struct PageRow {
    instance: Option<Instance>,
    message_seq: Option<i64>,
    report_seq: Option<i64>,
    report_id: Option<ReportId>,
    message_id: Option<MessageId>,
    message_type: Option<String>,
    report_type: Option<ReportType>,
    created_at: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    data: Option<String>,
    user_id: Option<UserId>,
    station_id: Option<StationId>,
    chain: Option<Chain>,
    last_seq: Option<i64>,
    erased: Option<i64>,
}

impl PageRow {
    /// Converts the conversation's row into its head and the start of the read. Returns `None` if a
    /// column is missing.
    fn head(self) -> Option<(HistoryHead, Start)> {
        let head = HistoryHead {
            instance: self.instance?,
            last_seq: self.last_seq?,
            last_report_id: self.report_id,
            chain: self.chain,
            erased: self.erased?,
        };
        let start = Start {
            message_seq: self.message_seq,
            report_seq: self.report_seq,
        };
        Some((head, start))
    }

    /// Converts a message or a report. Returns `None` if it is neither, or a column is missing.
    fn of_history(self) -> Option<HistoryRow> {
        match (self.message_seq, self.report_id) {
            (Some(seq), None) => Some(HistoryRow::Message(MessageRow {
                seq,
                message_id: self.message_id?,
                r#type: self.message_type?,
                created_at: self.created_at?,
                valid_until: self.valid_until?,
                data: self.data?,
                user_id: self.user_id?,
                station_id: self.station_id?,
                chain: self.chain?,
            })),
            (None, Some(report_id)) => Some(HistoryRow::Report(ReportRow {
                report_id,
                r#type: self.report_type?,
                created_at: self.created_at?,
                valid_until: self.valid_until?,
                user_id: self.user_id?,
                station_id: self.station_id?,
                message_id: self.message_id?,
            })),
            _ => None,
        }
    }
}

/// A single text for both directions, which differ in the side of the start that they read, and in
/// their order. A parameter for the direction would prevent the use of the index, as PostgreSQL
/// plans the statement only once.
// Not a file in `sql/`, although it is long: `query_file!` cannot put a text together.
macro_rules! rows {
    ($query:ident, $start:ident, $limits:ident, $side:literal, $order:literal) => {
        sqlx::query_as!(
            PageRow,
            r#"
            with seen as materialized (
                -- The conversation, if the reader takes part in it, and where to begin: at a number, or
                -- at the row with the cursor's id (null if that row does not exist).
                select c.instance, c.cleared_seq, c.last_seq, c.last_report_id, c.chain, c.erased,
                       coalesce($5::bigint,
                           (select m.seq from messages m
                               where m.conversation_id = $1 and m.message_id = $4 and m.instance = $3)
                       ) as message_seq,
                       coalesce($7::bigint,
                           (select r.seq from reports r
                               where r.conversation_id = $1 and r.report_id = $6 and r.seq > c.cleared_seq)
                       ) as report_seq
                from participants p
                join conversations c using (conversation_id)
                where p.conversation_id = $1 and p.user_id = $2
            ),
            start as materialized (
                -- No row if nothing may be read: the reader's instance is another one, or the
                -- beginning is not known.
                select message_seq, report_seq, cleared_seq
                from seen
                where instance = $3 and message_seq is not null and report_seq is not null
            )
            select s.instance as "instance?: Instance", s.message_seq, s.report_seq, s.last_report_id as "report_id?: ReportId",
                   null::uuid as "message_id: MessageId", null::text as message_type, null::text as "report_type: ReportType",
                   null::timestamptz as "created_at: Timestamp", null::timestamptz as "valid_until: Timestamp",
                   null::text as data, null::uuid as "user_id: UserId", null::uuid as "station_id: StationId",
                   s.chain as "chain?: Chain", s.last_seq as "last_seq?", s.erased as "erased?"
            from seen s
            union all
            (
                select null, m.seq, null, null,
                       m.message_id, m.type, null, m.created_at, m.valid_until, m.data, m.user_id, m.station_id, m.chain, null, null
                from messages m
                where m.conversation_id = $1 and m.seq > (select cleared_seq from start) and m.seq "#
                + $side
                + r#" (select message_seq from start)
                order by m.seq"#
                + $order
                + r#" limit $8
            )
            union all
            (
                select null, null, null, r.report_id,
                       r.message_id, null, r.type, r.created_at, r.valid_until, null, r.user_id, r.station_id, null, null, null
                from reports r
                where r.conversation_id = $1 and r.seq > (select cleared_seq from start) and r.seq "#
                + $side
                + r#" (select report_seq from start)
                order by r.seq"#
                + $order
                + r#" limit $9
            )
            "#,
            $query.conversation_id as _,
            $query.user_id as _,
            $query.instance.as_str(),
            $query.cursor.message_id as _,
            $start.message_seq,
            $query.cursor.report_id as _,
            $start.report_seq,
            $limits.0,
            $limits.1,
        )
    };
}

/// Reads at most this many messages and reports in one statement. Returns the head and where
/// the rows begin; there are no rows if the reader's instance is another one, or the beginning
/// is not known. Returns `None` if there is no such conversation for this user.
async fn read_rows(
    c: &mut PgConnection,
    query: PageQuery<'_>,
    direction: Direction,
    start: Start,
    limits: (usize, usize),
    mut each: impl FnMut(HistoryRow),
) -> Result<Option<(HistoryHead, Start)>> {
    // For `limit`, the maximum means none.
    let limit = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
    let limits = (limit(limits.0), limit(limits.1));
    // Streamed, so that a page of large messages is never in memory twice.
    let mut rows = match direction {
        Direction::Forward => rows!(query, start, limits, ">=", "").fetch(c),
        Direction::Backward => rows!(query, start, limits, "<", " desc").fetch(c),
    };
    let mut found = None;
    while let Some(row) = rows.try_next().await? {
        // Recognized by its columns, because SQL does not guarantee that the first branch of
        // `union all` comes first.
        if row.instance.is_some() {
            let head = row.head();
            found = Some(head.ok_or_else(|| impossible("a conversation without its number"))?);
        } else {
            let row = row.of_history();
            each(row.ok_or_else(|| impossible("neither a message nor a report"))?);
        }
    }
    Ok(found)
}

/// Finds where to begin if the cursor's row is gone, or the cursor is only a time: at its
/// message if that has expired, otherwise at the first message that is not older than the
/// cursor; and likewise for reports. The reader was checked before, and is checked again by the
/// statement that begins there.
async fn locate(
    c: &mut PgConnection,
    query: PageQuery<'_>,
    direction: Direction,
    found: Start,
) -> Result<Start> {
    let row = sqlx::query!(
        "select coalesce(
                    (select e.seq from expired_messages e
                        where e.conversation_id = $1 and e.message_id = $4 and e.instance = c.instance),
                    (select m.seq from messages m
                        where $2::timestamptz is not null and m.conversation_id = $1 and m.seq > c.cleared_seq and m.created_at >= $2
                        order by m.seq limit 1)
                ) as message_seq,
                (select r.seq from reports r
                    where $3::timestamptz is not null and r.conversation_id = $1 and r.seq > c.cleared_seq and r.created_at >= $3
                    order by r.seq limit 1) as report_seq
        from conversations c
        where c.conversation_id = $1",
        query.conversation_id as _,
        // Not by time if the row exists, as such a search reads all older rows.
        query.cursor.message_at.filter(|_| found.message_seq.is_none()) as _,
        query.cursor.report_at.filter(|_| found.report_seq.is_none()) as _,
        query.cursor.message_id as _,
    )
    .fetch_one(c)
    .await?;
    // If all rows are older than the cursor, after the last one.
    let missing = |at: Option<Timestamp>| at.map_or(direction.start(), |_| i64::MAX);
    let message_seq = found.message_seq.or(row.message_seq);
    let report_seq = found.report_seq.or(row.report_seq);
    Ok(Start {
        message_seq: message_seq.or(Some(missing(query.cursor.message_at))),
        report_seq: report_seq.or(Some(missing(query.cursor.report_at))),
    })
}
