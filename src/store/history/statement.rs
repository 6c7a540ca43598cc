//! The statement that reads a page, and the one that finds where to begin.

use futures_util::TryStreamExt;
use sqlx::PgConnection;

use super::PageQuery;
use crate::store::{
    error::{Result, impossible},
    rows::{HistoryHead, HistoryRow, MessageRow, ReportRow},
};
use parlance_wire::{
    chain::Chain,
    id::{MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
    word::ReportType,
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    /// From old to new.
    Forward,
    /// From new to old.
    Backward,
}

impl Direction {
    /// The position of a read without a cursor.
    pub(super) fn start(self) -> i64 {
        match self {
            Self::Forward => 0,
            Self::Backward => i64::MAX,
        }
    }
}

/// The numbers at which a statement begins. `None`: at the row with the cursor's id, or that row
/// does not exist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub message_seq: Option<i64>,
    pub report_seq: Option<i64>,
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
pub(super) async fn read(
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
pub(super) async fn locate(
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
