//! PageQuery a conversation: pages of messages and reports by cursor. A page is one statement, which also
//! checks who reads and which instance. Only a page of more messages than one statement reads (128, where they
//! may have 64 KiB), and a cursor whose row is missing, take another one.
//!
//! A cursor's id finds its row and the row's `seq` says where to go on. Times are no order: clocks
//! differ, and many rows share a second (docs/api.md, The cursor loses nothing).

mod page;

use futures_util::TryStreamExt;
use sqlx::PgConnection;

use self::page::{Direction, PageBuilder, Position};
use super::Db;
use crate::store::rows::{HistoryHead, HistoryRow, MessageRow, ReportRow};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// A place in a conversation. Without an id and a time: its start, or its end, depending on
/// which direction the reader goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    /// The message that the reader knows.
    pub message_id: Option<MessageId>,
    /// That message's time, in case it is missing.
    pub message_at: Option<Timestamp>,
    /// The report that the reader knows.
    pub report_id: Option<ReportId>,
    /// That report's time, in case it is missing.
    pub report_at: Option<Timestamp>,
}

/// Which conversation, who reads it, and which instance they believe it to be in.
#[derive(Debug)]
pub(crate) struct PageQuery<'a> {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    /// The life of the conversation that they know.
    pub instance: &'a Instance,
    /// How many bytes of `Data` a message may have.
    pub max_message_bytes: usize,
}

/// How a read ended.
#[derive(Debug)]
pub(crate) struct Page {
    /// The conversation's present instance. If it is not the reader's, no row was handed on.
    pub present: Instance,
    /// Whether there is more in the direction of the read.
    pub has_more: bool,
    /// What the conversation ended with at that moment, if the page is of one moment.
    pub newest: Option<HistoryHead>,
}

/// From the cursor on, oldest first, its row included; at most `limit` rows of each kind.
/// `None`: no such conversation, for this user.
pub(crate) async fn from_cursor(
    db: &Db,
    query: &PageQuery<'_>,
    cursor: &Cursor,
    limit: usize,
    each: impl FnMut(HistoryRow) + Send,
) -> sqlx::Result<Option<Page>> {
    let mut page = PageBuilder::new(each, limit, 2);
    db.run(async |c| read(c, query, cursor, Direction::Forward, &mut page).await)
        .await
}

/// The newest `limit` rows of each kind that are older than the cursor, oldest first, its row left
/// out. `None`: no such conversation, for this user.
pub(crate) async fn before_cursor(
    db: &Db,
    query: &PageQuery<'_>,
    cursor: &Cursor,
    limit: usize,
    each: impl FnMut(HistoryRow) + Send,
) -> sqlx::Result<Option<Page>> {
    let mut newest_first = vec![];
    let take = |row| newest_first.push(row);
    let mut page = PageBuilder::new(take, limit, 1);
    let page = db
        .run(async |c| read(c, query, cursor, Direction::Backward, &mut page).await)
        .await?;
    newest_first.into_iter().rev().for_each(each);
    Ok(page)
}

/// What a statement answer beside the rows it handed on.
struct Answer {
    present: Instance,
    newest: Option<HistoryHead>,
    /// Where it began. `None`: the row of the id is missing.
    message_seq: Option<i64>,
    report_seq: Option<i64>,
    /// How many messages there were, and the number of the last one.
    messages: usize,
    last: Option<i64>,
}

/// Reads a page, in as few statements as it takes: nearly always one.
async fn read(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    cursor: &Cursor,
    direction: Direction,
    page: &mut PageBuilder<impl FnMut(HistoryRow)>,
) -> sqlx::Result<Option<Page>> {
    let mut single_statement = true;
    let mut from = Position {
        message_id: cursor.message_id,
        message_seq: cursor.message_at.is_none().then_some(direction.start()),
        report_id: cursor.report_id,
        report_seq: cursor.report_at.is_none().then_some(direction.start()),
    };
    let mut reports = page.limit + 1;
    loop {
        let messages = page.chunk(query.max_message_bytes);
        let answer = match direction {
            Direction::Forward => {
                read_forward(c, query, from, number(messages), number(reports), page).await?
            }
            Direction::Backward => {
                read_backward(c, query, from, number(messages), number(reports), page).await?
            }
        };
        let Some(answer) = answer else {
            return Ok(None);
        };
        if answer.present != *query.instance {
            return Ok(Some(Page {
                present: answer.present,
                has_more: false,
                newest: None,
            }));
        }
        let continue_at = answer
            .last
            .filter(|_| answer.messages == messages && !page.has_more)
            .map(|last| direction.after(last));
        let mut next = Position {
            message_seq: continue_at,
            ..Position::default()
        };
        if answer.message_seq.is_none() || answer.report_seq.is_none() {
            // Whoever names a row that is missing, or a time only, begins at the first one that is not older.
            let wanted = Cursor {
                message_at: cursor.message_at.filter(|_| answer.message_seq.is_none()),
                report_at: cursor.report_at.filter(|_| answer.report_seq.is_none()),
                ..*cursor
            };
            let (message_seq, report_seq) = locate(c, query, &wanted).await?;
            if answer.message_seq.is_none() {
                next.message_seq =
                    Some(message_seq.unwrap_or(direction.missing(cursor.message_at)));
            }
            if answer.report_seq.is_none() {
                next.report_seq = Some(report_seq.unwrap_or(direction.missing(cursor.report_at)));
            }
        }
        if next.message_seq.is_none() && next.report_seq.is_none() {
            return Ok(Some(Page {
                present: answer.present,
                has_more: page.has_more,
                newest: answer.newest.filter(|_| single_statement),
            }));
        }
        single_statement = false;
        reports = if next.report_seq.is_some() {
            page.limit + 1
        } else {
            0
        };
        from = Position {
            message_seq: next.message_seq.or(Some(direction.end())),
            report_seq: next.report_seq.or(Some(direction.end())),
            ..Position::default()
        };
    }
}

/// The numbers of the cursor's message, if it expired, and else of the first message and the first report that are
/// not older than the cursor says. Who reads was checked before, and is again by the statement that uses them.
async fn locate(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    cursor: &Cursor,
) -> sqlx::Result<(Option<i64>, Option<i64>)> {
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
        cursor.message_at as _,
        cursor.report_at as _,
        cursor.message_id as _,
    )
    .fetch_one(c)
    .await?;
    Ok((row.message_seq, row.report_seq))
}

/// Puts the rows of a statement together: first the conversation's own, then messages, then reports.
macro_rules! hand_on {
    ($rows:expr, $page:ident) => {{
        let mut rows = $rows;
        let (mut answer, mut messages, mut last) = (None, 0, None);
        while let Some(row) = rows.try_next().await? {
            if let Some(present) = row.instance {
                let newest = row.last_seq.map(|last_seq| HistoryHead {
                    last_seq,
                    last_report_id: row.report_id,
                    chain: row.chain,
                });
                answer = Some((present, newest, row.message_seq, row.report_seq));
                continue;
            }
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
                return Err(sqlx::Error::RowNotFound);
            };
            $page.take(
                match (row.report_id, row.message_seq, row.data, row.chain) {
                    (Some(report_id), ..) => HistoryRow::Report(ReportRow {
                        report_id,
                        r#type,
                        created_at,
                        valid_until,
                        user_id,
                        station_id,
                        message_id,
                    }),
                    (None, Some(seq), Some(data), Some(chain)) => {
                        (messages, last) = (messages + 1, Some(seq));
                        HistoryRow::Message(MessageRow {
                            seq,
                            message_id,
                            r#type,
                            created_at,
                            valid_until,
                            data,
                            user_id,
                            station_id,
                            chain,
                        })
                    }
                    _ => return Err(sqlx::Error::RowNotFound),
                },
            );
        }
        Ok(
            answer.map(|(present, newest, message_seq, report_seq)| Answer {
                present,
                newest,
                message_seq,
                report_seq,
                messages,
                last,
            }),
        )
    }};
}

async fn read_forward(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    from: Position,
    messages: i64,
    reports: i64,
    page: &mut PageBuilder<impl FnMut(HistoryRow)>,
) -> sqlx::Result<Option<Answer>> {
    hand_on!(
        sqlx::query!(
            r#"
                with seen as materialized (
                    select c.instance, c.cleared_seq, c.last_seq, c.last_report_id, c.chain,
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
                       s.chain as "chain?: Chain", s.last_seq as "last_seq?"
                from seen s
                union all
                (
                    select null, m.seq, null, null,
                           m.message_id, m.type, m.created_at, m.valid_until, m.data, m.user_id, m.station_id, m.chain, null
                    from messages m
                    where m.conversation_id = $1 and m.seq >= (
                        select greatest(message_seq, cleared_seq + 1) from seen where instance = $3 and message_seq is not null)
                    order by m.seq limit $8
                )
                union all
                (
                    select null, null, null, r.report_id,
                           r.message_id, r.type, r.created_at, r.valid_until, null, r.user_id, r.station_id, null, null
                    from reports r
                    where r.conversation_id = $1 and r.seq >= (
                        select greatest(report_seq, cleared_seq + 1) from seen where instance = $3 and report_seq is not null)
                    order by r.seq limit $9
                )
                "#,
            query.conversation_id as _,
            query.user_id as _,
            query.instance.as_str(),
            from.message_id as _,
            from.message_seq,
            from.report_id as _,
            from.report_seq,
            messages,
            reports,
        )
        .fetch(c),
        page
    )
}

/// As [`read_forward`], newest first.
async fn read_backward(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    from: Position,
    messages: i64,
    reports: i64,
    page: &mut PageBuilder<impl FnMut(HistoryRow)>,
) -> sqlx::Result<Option<Answer>> {
    hand_on!(
        sqlx::query!(
            r#"
                with seen as materialized (
                    select c.instance, c.cleared_seq, c.last_seq, c.last_report_id, c.chain,
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
                       s.chain as "chain?: Chain", s.last_seq as "last_seq?"
                from seen s
                union all
                (
                    select null, m.seq, null, null,
                           m.message_id, m.type, m.created_at, m.valid_until, m.data, m.user_id, m.station_id, m.chain, null
                    from messages m
                    where m.conversation_id = $1 and m.seq < (select message_seq from seen where instance = $3)
                        and m.seq > (select cleared_seq from seen)
                    order by m.seq desc limit $8
                )
                union all
                (
                    select null, null, null, r.report_id,
                           r.message_id, r.type, r.created_at, r.valid_until, null, r.user_id, r.station_id, null, null
                    from reports r
                    where r.conversation_id = $1 and r.seq < (select report_seq from seen where instance = $3)
                        and r.seq > (select cleared_seq from seen)
                    order by r.seq desc limit $9
                )
                "#,
            query.conversation_id as _,
            query.user_id as _,
            query.instance.as_str(),
            from.message_id as _,
            from.message_seq,
            from.report_id as _,
            from.report_seq,
            messages,
            reports,
        )
        .fetch(c),
        page
    )
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
