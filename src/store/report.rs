//! Reports: one per message, user and type, however often it is sent.

use super::{Db, refused_by};
use crate::model::{
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// How often a report is tried again after the same one was stored from another station meanwhile.
const TRIES: usize = 5;

/// What someone reports about messages of a conversation.
#[derive(Debug)]
pub struct NewReport<'a> {
    /// Where.
    pub conversation_id: ConversationId,
    /// The life of the conversation that they saw.
    pub instance: &'a Instance,
    /// Who reports.
    pub user_id: UserId,
    /// From which station.
    pub station_id: StationId,
    /// `delivered` or `viewed`.
    pub r#type: &'a str,
    /// Which messages. Ids that are not there are passed over.
    pub message_ids: &'a [MessageId],
    /// When the server heard of it.
    pub created_at: Timestamp,
}

/// What became of a report.
#[derive(Debug)]
pub struct Reported {
    /// The conversation's present instance. If it is not the one reported on, nothing was stored.
    pub present: Instance,
    /// Who has to hear of it. Empty, if nothing was new.
    pub participants: Vec<UserId>,
    /// The number of the first new report; the others follow.
    pub first_seq: Option<i64>,
    /// The report before the first new one.
    pub after: Option<ReportId>,
    /// The new reports, in the order of their numbers.
    pub report_ids: Vec<ReportId>,
    /// Their messages.
    pub message_ids: Vec<MessageId>,
    /// Their ends.
    pub valid_untils: Vec<Timestamp>,
}

/// Stores what is new of a report, in one statement and one commit. `None`: no such conversation,
/// for this user.
pub async fn add(db: &Db, report: &NewReport<'_>) -> sqlx::Result<Option<Reported>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match add_once(db, report).await {
            // As in `message::add`: what the statement saw was older than its lock.
            Err(error) if tries < TRIES && refused_by(&error, "reports_one_per_message") => {}
            result => return result,
        }
    }
}

async fn add_once(db: &Db, report: &NewReport<'_>) -> sqlx::Result<Option<Reported>> {
    let report_ids: Vec<ReportId> = report.message_ids.iter().map(|_| ReportId::random()).collect();
    db.run(async |c| {
        sqlx::query_as!(
            Reported,
            r#"
            with locked as materialized (
                select c.conversation_id, c.instance, c.last_seq, c.last_report_id
                from participants p
                join conversations c using (conversation_id)
                where p.conversation_id = $1 and p.user_id = $2
                for no key update of c
            ), numbered as (
                select m.seq as message_seq, m.message_id, m.valid_until, i.report_id,
                       l.last_seq + row_number() over (order by m.seq) as seq
                from locked l
                cross join (
                    select distinct on (message_id) message_id, report_id
                    from unnest($3::uuid[], $4::uuid[]) as i (message_id, report_id)
                ) i
                join messages m on m.conversation_id = l.conversation_id
                    and m.message_id = i.message_id and m.instance = l.instance
                where l.instance = $5
                    and not exists (
                        select from reports r
                        where r.conversation_id = l.conversation_id and r.message_seq = m.seq
                            and r.user_id = $2 and r.type = $6
                    )
            ), stored as (
                insert into reports (conversation_id, seq, report_id, message_seq, message_id, user_id, station_id,
                                     type, created_at, valid_until)
                select $1, seq, report_id, message_seq, message_id, $2, $7, $6, $8, valid_until
                from numbered
            ), counted as (
                update conversations c
                set last_seq = n.last_seq, last_report_id = n.last_report_id
                from (
                    select max(seq) as last_seq, (array_agg(report_id order by seq desc))[1] as last_report_id
                    from numbered
                ) n
                where c.conversation_id = $1 and n.last_seq is not null
            )
            select l.instance as "present: Instance",
                   case when new.first_seq is null then '{}'
                       else (select array_agg(o.user_id) from participants o where o.conversation_id = $1)
                   end as "participants!: Vec<UserId>",
                   new.first_seq, l.last_report_id as "after: ReportId",
                   coalesce(new.report_ids, '{}') as "report_ids!: Vec<ReportId>",
                   coalesce(new.message_ids, '{}') as "message_ids!: Vec<MessageId>",
                   coalesce(new.valid_untils, '{}') as "valid_untils!: Vec<Timestamp>"
            from locked l
            cross join (
                select min(seq) as first_seq, array_agg(report_id order by seq) as report_ids,
                       array_agg(message_id order by seq) as message_ids,
                       array_agg(valid_until order by seq) as valid_untils
                from numbered
            ) new
            "#,
            report.conversation_id as _,
            report.user_id as _,
            report.message_ids as _,
            &report_ids as _,
            report.instance.as_str(),
            report.r#type,
            report.station_id as _,
            report.created_at as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}
