//! Reading a conversation: pages of messages and reports by cursor. One statement each, which also
//! checks who reads and which instance; rows are handed on one by one, as they arrive.
//!
//! A cursor's id finds its row and the row's `seq` says where to go on. Times are no order: clocks
//! differ, and many rows share a second (docs/api.md, The cursor loses nothing).

use futures_util::TryStreamExt;

use super::Db;
use crate::model::{
    id::{ConversationId, MessageId, ReportId, UserId},
    rows::{HistoryRow, MessageRow, ReportRow},
    text::Instance,
    time::Timestamp,
};

/// A page is cut after this many bytes of `Data`. From a cursor on, two rows always fit: its own, and the
/// next one, or a reader would never get past two large ones. Before a cursor, one does.
const PAGE_BYTES: i64 = 4 * 1024 * 1024;

/// A place in a conversation. Without an id and a time: its beginning, or its end, depending on
/// which way the reader goes.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    /// The message that the reader knows.
    pub message_id: Option<MessageId>,
    /// That message's time, in case it is gone.
    pub message_at: Option<Timestamp>,
    /// The report that the reader knows.
    pub report_id: Option<ReportId>,
    /// That report's time, in case it is gone.
    pub report_at: Option<Timestamp>,
}

/// Which conversation, who reads it, and which instance they believe it to be in.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who reads.
    pub user_id: UserId,
    /// The life of the conversation that they know.
    pub instance: &'a Instance,
}

/// How a read ended.
#[derive(Debug)]
pub struct Page {
    /// The conversation's present instance. If it is not the reader's, no row was handed on.
    pub present: Instance,
    /// Whether there is more in the direction of the read.
    pub has_more: bool,
}

/// Puts the rows of one statement together: the conversation's own row, messages, reports.
macro_rules! page {
    ($rows:expr, $each:ident) => {{
        let mut rows = $rows;
        let (mut present, mut has_more) = (None, false);
        while let Some(row) = rows.try_next().await? {
            if let Some(instance) = row.instance {
                present = Some(instance);
                continue;
            }
            has_more |= row.has_more.unwrap_or(false);
            let (Some(r#type), Some(created_at), Some(valid_until), Some(message_id), Some(user_id), Some(station_id)) =
                (row.r#type, row.created_at, row.valid_until, row.message_id, row.user_id, row.station_id)
            else {
                return Err(sqlx::Error::RowNotFound);
            };
            $each(match row.report_id {
                None => HistoryRow::Message(MessageRow {
                    message_id,
                    r#type,
                    created_at,
                    valid_until,
                    data: row.data.unwrap_or_default(),
                    user_id,
                    station_id,
                }),
                Some(report_id) => {
                    HistoryRow::Report(ReportRow { report_id, r#type, created_at, valid_until, user_id, station_id, message_id })
                }
            });
        }
        Ok(present.map(|present| Page { present, has_more }))
    }};
}

/// From the cursor on, oldest first, its row included; at most `limit` rows of each kind.
/// `None`: no such conversation, for this user.
pub async fn from_cursor(
    db: &Db,
    reading: &Reading<'_>,
    cursor: &Cursor,
    limit: i32,
    mut each: impl FnMut(HistoryRow),
) -> sqlx::Result<Option<Page>> {
    db.run(async |connection| {
        page!(
            sqlx::query!(
                r#"
                with seen as materialized (
                    select c.instance, c.cleared_seq
                    from participants p
                    join conversations c using (conversation_id)
                    where p.conversation_id = $1 and p.user_id = $2
                ), start as materialized (
                    select greatest(s.cleared_seq + 1, coalesce(
                        (select m.seq from messages m
                            where m.conversation_id = $1 and m.message_id = $4 and m.instance = $3),
                        case when $5::timestamptz is null then 0 else coalesce(
                            (select m.seq from messages m
                                where m.conversation_id = $1 and m.seq > s.cleared_seq and m.created_at >= $5
                                order by m.seq limit 1),
                            9223372036854775807)
                        end)) as message_seq,
                    greatest(s.cleared_seq + 1, coalesce(
                        (select r.seq from reports r
                            where r.conversation_id = $1 and r.report_id = $6 and r.seq > s.cleared_seq),
                        case when $7::timestamptz is null then 0 else coalesce(
                            (select r.seq from reports r
                                where r.conversation_id = $1 and r.seq > s.cleared_seq and r.created_at >= $7
                                order by r.seq limit 1),
                            9223372036854775807)
                        end)) as report_seq
                    from seen s
                    where s.instance = $3
                )
                select s.instance as "instance?: Instance", null::bool as has_more, null::uuid as "report_id: ReportId",
                       null::uuid as "message_id: MessageId", null::text as type,
                       null::timestamptz as "created_at: Timestamp", null::timestamptz as "valid_until: Timestamp",
                       null::text as data, null::uuid as "user_id: UserId", null::uuid as "station_id: crate::model::id::StationId"
                from seen s
                union all
                select null, page.found > page.place and (page.place = $8 or (page.place >= 2 and page.bytes >= $9)), null,
                       page.message_id, page.type, page.created_at, page.valid_until, page.data, page.user_id, page.station_id
                from start, lateral (
                    select m.*, count(*) over () as found, row_number() over (order by m.seq) as place,
                           sum(octet_length(m.data)) over (order by m.seq) as bytes
                    from (
                        select * from messages m
                        where m.conversation_id = $1 and m.seq >= start.message_seq
                        order by m.seq limit $8 + 1
                    ) m
                    order by m.seq
                ) page
                where page.place <= $8 and (page.place <= 2 or page.bytes - octet_length(page.data) < $9)
                union all
                select null, page.found > page.place and page.place = $8, page.report_id,
                       page.message_id, page.type, page.created_at, page.valid_until, null, page.user_id, page.station_id
                from start, lateral (
                    select r.*, count(*) over () as found, row_number() over (order by r.seq) as place
                    from (
                        select * from reports r
                        where r.conversation_id = $1 and r.seq >= start.report_seq
                        order by r.seq limit $8 + 1
                    ) r
                    order by r.seq
                ) page
                where page.place <= $8
                "#,
                reading.conversation_id as _,
                reading.user_id as _,
                reading.instance.as_str(),
                cursor.message_id as _,
                cursor.message_at as _,
                cursor.report_id as _,
                cursor.report_at as _,
                limit,
                PAGE_BYTES,
            )
            .fetch(&mut *connection),
            each
        )
    })
    .await
}

/// The newest `limit` rows of each kind that are older than the cursor, oldest first, its row left
/// out. `None`: no such conversation, for this user.
pub async fn before_cursor(
    db: &Db,
    reading: &Reading<'_>,
    cursor: &Cursor,
    limit: i32,
    mut each: impl FnMut(HistoryRow),
) -> sqlx::Result<Option<Page>> {
    db.run(async |connection| {
        page!(
            sqlx::query!(
                r#"
                with seen as materialized (
                    select c.instance, c.cleared_seq
                    from participants p
                    join conversations c using (conversation_id)
                    where p.conversation_id = $1 and p.user_id = $2
                ), finish as materialized (
                    select s.cleared_seq, coalesce(
                        (select m.seq from messages m
                            where m.conversation_id = $1 and m.message_id = $4 and m.instance = $3),
                        case when $5::timestamptz is not null then
                            (select m.seq from messages m
                                where m.conversation_id = $1 and m.seq > s.cleared_seq and m.created_at >= $5
                                order by m.seq limit 1)
                        end, 9223372036854775807) as message_seq,
                    coalesce(
                        (select r.seq from reports r
                            where r.conversation_id = $1 and r.report_id = $6 and r.seq > s.cleared_seq),
                        case when $7::timestamptz is not null then
                            (select r.seq from reports r
                                where r.conversation_id = $1 and r.seq > s.cleared_seq and r.created_at >= $7
                                order by r.seq limit 1)
                        end, 9223372036854775807) as report_seq
                    from seen s
                    where s.instance = $3
                )
                select s.instance as "instance?: Instance", null::bool as has_more, null::uuid as "report_id: ReportId",
                       null::uuid as "message_id: MessageId", null::text as type,
                       null::timestamptz as "created_at: Timestamp", null::timestamptz as "valid_until: Timestamp",
                       null::text as data, null::uuid as "user_id: UserId", null::uuid as "station_id: crate::model::id::StationId"
                from seen s
                union all
                select null, page.found > page.place and (page.place = $8 or page.bytes >= $9), null,
                       page.message_id, page.type, page.created_at, page.valid_until, page.data, page.user_id, page.station_id
                from finish, lateral (
                    select m.*, count(*) over () as found, row_number() over (order by m.seq desc) as place,
                           sum(octet_length(m.data)) over (order by m.seq desc) as bytes
                    from (
                        select * from messages m
                        where m.conversation_id = $1 and m.seq < finish.message_seq and m.seq > finish.cleared_seq
                        order by m.seq desc limit $8 + 1
                    ) m
                    order by m.seq
                ) page
                where page.place <= $8 and page.bytes - octet_length(page.data) < $9
                union all
                select null, page.found > page.place and page.place = $8, page.report_id,
                       page.message_id, page.type, page.created_at, page.valid_until, null, page.user_id, page.station_id
                from finish, lateral (
                    select r.*, count(*) over () as found, row_number() over (order by r.seq desc) as place
                    from (
                        select * from reports r
                        where r.conversation_id = $1 and r.seq < finish.report_seq and r.seq > finish.cleared_seq
                        order by r.seq desc limit $8 + 1
                    ) r
                    order by r.seq
                ) page
                where page.place <= $8
                "#,
                reading.conversation_id as _,
                reading.user_id as _,
                reading.instance.as_str(),
                cursor.message_id as _,
                cursor.message_at as _,
                cursor.report_id as _,
                cursor.report_at as _,
                limit,
                PAGE_BYTES,
            )
            .fetch(&mut *connection),
            each
        )
    })
    .await
}
