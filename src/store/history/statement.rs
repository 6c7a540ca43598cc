//! The statement that reads a page: the conversation's head, then messages, then reports.

use futures_util::TryStreamExt;
use sqlx::PgConnection;

use super::{
    PageQuery,
    page::{Direction, PageBuilder, Position},
};
use crate::store::{
    error::{Result, impossible},
    rows::{HistoryHead, HistoryRow, MessageRow, ReportRow},
};
use parlance_wire::{
    chain::Chain,
    id::{MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// A row of the answer: the first one is the conversation's, and names its instance; the others are messages, which
/// have a number, and reports, which have an id.
struct Row {
    instance: Option<Instance>,
    message_seq: Option<i64>,
    report_seq: Option<i64>,
    report_id: Option<ReportId>,
    message_id: Option<MessageId>,
    r#type: Option<String>,
    created_at: Option<Timestamp>,
    valid_until: Option<Timestamp>,
    data: Option<String>,
    user_id: Option<UserId>,
    station_id: Option<StationId>,
    chain: Option<Chain>,
    last_seq: Option<i64>,
    erased: Option<i64>,
}

/// What a statement answered beside the rows that went onto the page.
pub(super) struct Answer {
    /// The conversation's current instance.
    pub instance: Instance,
    pub head: Option<HistoryHead>,
    /// Where it began. `None`: the cursor's row is not there.
    pub message_seq: Option<i64>,
    pub report_seq: Option<i64>,
    /// How many messages there were, and the number of the last one.
    pub messages: i64,
    pub last: Option<i64>,
}

/// One text for both directions, which differ in where they begin and in their order. A parameter for the direction
/// would cost the index: PostgreSQL plans the statement once, for whichever it is.
macro_rules! page_rows {
    ($query:ident, $from:ident, $limits:ident, messages $messages:literal, reports $reports:literal, $order:literal) => {
        sqlx::query_as!(
            Row,
            r#"
            with seen as materialized (
                -- The conversation, if the reader takes part in it, and where to begin: at the row with the cursor's
                -- id, or at a number. Null: that row is not there.
                select c.instance, c.cleared_seq, c.last_seq, c.last_report_id, c.chain, c.erased,
                       case when $4::uuid is null then $5::bigint else
                           (select m.seq from messages m
                               where m.conversation_id = $1 and m.message_id = $4 and m.instance = $3)
                       end as message_seq,
                       case when $6::uuid is null then $7::bigint else
                           (select r.seq from reports r
                               where r.conversation_id = $1 and r.report_id = $6 and r.seq > c.cleared_seq)
                       end as report_seq
                from participants p
                join conversations c using (conversation_id)
                where p.conversation_id = $1 and p.user_id = $2
            )
            select s.instance as "instance?: Instance", s.message_seq, s.report_seq, s.last_report_id as "report_id?: ReportId",
                   null::uuid as "message_id: MessageId", null::text as type,
                   null::timestamptz as "created_at: Timestamp", null::timestamptz as "valid_until: Timestamp",
                   null::text as data, null::uuid as "user_id: UserId", null::uuid as "station_id: StationId",
                   s.chain as "chain?: Chain", s.last_seq as "last_seq?", s.erased as "erased?"
            from seen s
            union all
            (
                select null, m.seq, null, null,
                       m.message_id, m.type, m.created_at, m.valid_until, m.data, m.user_id, m.station_id, m.chain, null, null
                from messages m
                where m.conversation_id = $1 and "#
                + $messages
                + " order by m.seq"
                + $order
                + r#" limit $8
            )
            union all
            (
                select null, null, null, r.report_id,
                       r.message_id, r.type, r.created_at, r.valid_until, null, r.user_id, r.station_id, null, null, null
                from reports r
                where r.conversation_id = $1 and "#
                + $reports
                + " order by r.seq"
                + $order
                + r#" limit $9
            )
            "#,
            $query.conversation_id as _,
            $query.user_id as _,
            $query.instance.as_str(),
            $from.message_id as _,
            $from.message_seq,
            $from.report_id as _,
            $from.report_seq,
            $limits.0,
            $limits.1,
        )
    };
}

/// Reads from a position on, or before it, onto a page: at most so many messages, and so many reports. Returns `None`
/// when there is no such conversation, for this user.
pub(super) async fn read(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    from: Position,
    direction: Direction,
    limits: (i64, i64),
    page: &mut PageBuilder<impl FnMut(HistoryRow)>,
) -> Result<Option<Answer>> {
    // Streamed: a page of large messages is never in memory twice.
    let mut rows = match direction {
        Direction::Forward => page_rows!(
            query, from, limits,
            messages "m.seq >= (select greatest(message_seq, cleared_seq + 1) from seen where instance = $3 and message_seq is not null)",
            reports "r.seq >= (select greatest(report_seq, cleared_seq + 1) from seen where instance = $3 and report_seq is not null)",
            ""
        )
        .fetch(c),
        Direction::Backward => page_rows!(
            query, from, limits,
            messages "m.seq < (select message_seq from seen where instance = $3) and m.seq > (select cleared_seq from seen)",
            reports "r.seq < (select report_seq from seen where instance = $3) and r.seq > (select cleared_seq from seen)",
            " desc"
        )
        .fetch(c),
    };
    let (mut answer, mut messages, mut last) = (None, 0, None);
    while let Some(row) = rows.try_next().await? {
        if row.instance.is_some() {
            answer = Some(row);
            continue;
        }
        let row = history_row(row)?;
        if let HistoryRow::Message(message) = &row {
            (messages, last) = (messages + 1, Some(message.seq));
        }
        page.push(row);
    }
    Ok(answer.and_then(|row| {
        Some(Answer {
            instance: row.instance?,
            head: row
                .last_seq
                .zip(row.erased)
                .map(|(last_seq, erased)| HistoryHead {
                    last_seq,
                    last_report_id: row.report_id,
                    chain: row.chain,
                    erased,
                }),
            message_seq: row.message_seq,
            report_seq: row.report_seq,
            messages,
            last,
        })
    }))
}

fn history_row(row: Row) -> Result<HistoryRow> {
    let (
        Some(r#type),
        Some(created_at),
        Some(valid_until),
        Some(message_id),
        Some(user_id),
        Some(station_id),
    ) = (
        row.r#type,
        row.created_at,
        row.valid_until,
        row.message_id,
        row.user_id,
        row.station_id,
    )
    else {
        return Err(impossible("a row of a history without its columns"));
    };
    match (row.report_id, row.message_seq, row.data, row.chain) {
        (Some(report_id), None, None, None) => Ok(HistoryRow::Report(ReportRow {
            report_id,
            r#type,
            created_at,
            valid_until,
            user_id,
            station_id,
            message_id,
        })),
        (None, Some(seq), Some(data), Some(chain)) => Ok(HistoryRow::Message(MessageRow {
            seq,
            message_id,
            r#type,
            created_at,
            valid_until,
            data,
            user_id,
            station_id,
            chain,
        })),
        _ => Err(impossible("neither a message nor a report")),
    }
}
