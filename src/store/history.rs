//! Reading a conversation: pages of messages and reports by cursor. A page is one statement, which also checks who reads
//! and which instance. Two kinds take another one: a page of more messages than one statement reads (128, where they may
//! have 64 KiB), and a cursor whose row is gone.
//!
//! A cursor's id finds its row, and the row's `seq` says where to continue. Times are no order: clocks differ, and many
//! rows share a second (docs/api.md, The cursor loses nothing).

mod page;
mod statement;

use sqlx::PgConnection;

use self::page::{Direction, PageBuilder, Position};
use super::{Db, error::Result};
use crate::store::rows::{HistoryHead, HistoryRow};
use parlance_wire::{
    id::{ConversationId, MessageId, ReportId, UserId},
    text::Instance,
    time::Timestamp,
};

/// A position in a conversation that a reader knows. Without an id and a time: its beginning, or its end, depending on
/// the direction of the read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor {
    /// The message that the reader knows.
    pub message_id: Option<MessageId>,
    /// That message's time, in case it is gone.
    pub message_at: Option<Timestamp>,
    /// The report that the reader knows.
    pub report_id: Option<ReportId>,
    /// That report's time, in case it is gone.
    pub report_at: Option<Timestamp>,
}

/// Which conversation, who reads it, and which instance they believe it to have.
#[derive(Debug)]
pub(crate) struct PageQuery<'a> {
    pub conversation_id: ConversationId,
    pub user_id: UserId,
    pub instance: &'a Instance,
    /// Maximum bytes of a message's `Data`: how many messages one statement may read.
    pub max_message_bytes: usize,
}

/// How a read ended.
#[derive(Debug)]
pub(crate) struct Page {
    /// The conversation's current instance. If it is not the reader's, there were no rows.
    pub instance: Instance,
    /// There is more in the direction of the read.
    pub has_more: bool,
    /// The conversation's head at that moment, if one statement read the whole page.
    pub head: Option<HistoryHead>,
}

/// From the cursor on, oldest first, its row included; at most `limit` rows of each kind. Returns `None` when there is
/// no such conversation, for this user.
pub(crate) async fn from_cursor(
    db: &Db,
    query: &PageQuery<'_>,
    cursor: &Cursor,
    limit: usize,
    each: impl FnMut(HistoryRow) + Send,
) -> Result<Option<Page>> {
    // The cursor's own row, and the next one: else a reader would never get past two large messages.
    let mut page = PageBuilder::new(each, limit, 2);
    db.run(async |c| read(c, query, cursor, Direction::Forward, &mut page).await)
        .await
}

/// The newest `limit` rows of each kind that are older than the cursor, oldest first, its row left out. Returns `None`
/// when there is no such conversation, for this user.
pub(crate) async fn before_cursor(
    db: &Db,
    query: &PageQuery<'_>,
    cursor: &Cursor,
    limit: usize,
    each: impl FnMut(HistoryRow) + Send,
) -> Result<Option<Page>> {
    // Read backwards, to stop at the limit, and turned round here.
    let mut newest_first = vec![];
    let push = |row| newest_first.push(row);
    let mut page = PageBuilder::new(push, limit, 1);
    let read = db
        .run(async |c| read(c, query, cursor, Direction::Backward, &mut page).await)
        .await?;
    newest_first.into_iter().rev().for_each(each);
    Ok(read)
}

/// Reads a page, in as few statements as it takes: nearly always one.
async fn read(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    cursor: &Cursor,
    direction: Direction,
    page: &mut PageBuilder<impl FnMut(HistoryRow)>,
) -> Result<Option<Page>> {
    let mut single_statement = true;
    let mut from = Position {
        message_id: cursor.message_id,
        message_seq: cursor.message_at.is_none().then_some(direction.start()),
        report_id: cursor.report_id,
        report_seq: cursor.report_at.is_none().then_some(direction.start()),
    };
    let mut reports = page.report_limit();
    // It ends: each further round continues after the last message, and only the first one can have to locate its
    // cursor.
    loop {
        let messages = page.message_limit(query.max_message_bytes);
        let Some(answer) =
            statement::read(c, query, from, direction, (messages, reports), page).await?
        else {
            return Ok(None);
        };
        if answer.instance != *query.instance {
            return Ok(Some(Page {
                instance: answer.instance,
                has_more: false,
                head: None,
            }));
        }
        let mut next = Position {
            message_seq: answer
                .last
                .filter(|_| answer.messages == messages && !page.has_more)
                .map(|last| direction.after(last)),
            ..Position::default()
        };
        if answer.message_seq.is_none() || answer.report_seq.is_none() {
            // A cursor whose row is gone, or that is a time only, begins at the first row that is not older.
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
                instance: answer.instance,
                has_more: page.has_more,
                head: answer.head.filter(|_| single_statement),
            }));
        }
        single_statement = false;
        reports = if next.report_seq.is_some() {
            page.report_limit()
        } else {
            0
        };
        // Now both are numbers, so no statement after this one has to locate anything.
        from = Position {
            message_seq: next.message_seq.or(Some(direction.end())),
            report_seq: next.report_seq.or(Some(direction.end())),
            ..Position::default()
        };
    }
}

/// The numbers to continue at: of the cursor's message, if it expired, else of the first message that is not older than
/// the cursor says; and of such a report. The reader was checked before, and is again by the statement that uses them.
async fn locate(
    c: &mut PgConnection,
    query: &PageQuery<'_>,
    cursor: &Cursor,
) -> Result<(Option<i64>, Option<i64>)> {
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
