//! Reports: one per message, user and type, however often it is sent.

use std::{collections::HashMap, sync::Arc};

use super::{
    Db,
    batcher::{Entry, entry_at},
    impossible, refused_by,
};
use parlance_wire::{
    id::{ConversationId, MessageId, ReportId, StationId, UserId},
    text::Instance,
    time::Timestamp,
    word::ReportType,
};

/// How often a batch is tried again after another node stored one of its reports meanwhile.
const MAX_TRIES: usize = 5;
/// A report's row has about so many bytes.
const ROW_BYTES: usize = 150;

/// What someone reports about messages of a conversation.
#[derive(Debug)]
pub(crate) struct NewReport {
    pub conversation_id: ConversationId,
    /// The life of the conversation that they saw.
    pub instance: Instance,
    pub user_id: UserId,
    /// From which station.
    pub station_id: StationId,
    pub r#type: ReportType,
    /// Which messages. Ids that are not there are passed over.
    pub message_ids: Vec<MessageId>,
    /// When the server heard of it.
    pub created_at: Timestamp,
}

/// What became of a report.
#[derive(Debug)]
pub(crate) enum Reported {
    /// It is stored, as far as it was new.
    Stored {
        /// Who has to hear of it. Empty, if nothing was new.
        participants: Arc<[UserId]>,
        /// What was new, in the order of the numbers.
        rows: Vec<Row>,
    },
    /// The conversation lives another life by now: this one.
    StaleInstance(Instance),
    /// No such conversation, for this user.
    NoConversation,
}

/// A report on one message.
#[derive(Debug)]
pub(crate) struct Row {
    pub seq: i64,
    /// The report before it.
    pub after: Option<ReportId>,
    /// The server's name for it.
    pub report_id: ReportId,
    pub message_id: MessageId,
    /// The end of its message, and its own.
    pub valid_until: Timestamp,
}

impl Entry for NewReport {
    type Outcome = Reported;
    type Key = ();

    /// Two that report the same may come together: one of them is new.
    fn key(&self) -> Option<()> {
        None
    }

    fn bytes(&self) -> usize {
        (self.message_ids.len() + 1) * ROW_BYTES
    }

    async fn store(db: &Db, batch: &[Self]) -> sqlx::Result<Vec<Option<Reported>>> {
        let mut tries = 0;
        loop {
            match add_once(db, batch).await {
                // As in `message::add`: what the statement saw was older than its lock.
                Err(error)
                    if tries < MAX_TRIES && refused_by(&error, "reports_one_per_message") =>
                {
                    tries += 1;
                }
                result => return result,
            }
        }
    }
}

/// Stores what is new of a batch, in one statement and one commit. `None`: who is in the group changed
/// while the statement waited for the lock; nothing is stored of what is reported there.
async fn add_once(db: &Db, batch: &[NewReport]) -> sqlx::Result<Vec<Option<Reported>>> {
    macro_rules! column {
        ($field:ident $($as_str:tt)*) => {
            &batch.iter().map(|r| r.$field $($as_str)*).collect::<Vec<_>>()
        };
    }
    let named = || {
        (1_i64..).zip(batch).flat_map(|(place, report)| {
            report
                .message_ids
                .iter()
                .map(move |id| (place, *id, ReportId::random()))
        })
    };
    let (places, (message_ids, report_ids)): (Vec<i64>, (Vec<MessageId>, Vec<ReportId>)) = named()
        .map(|(place, message, report)| (place, (message, report)))
        .unzip();
    let mut rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                with input as materialized (
                    select i.*, p.peer_id
                    from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
                        with ordinality as i (conversation_id, instance, user_id, station_id, type, created_at, place)
                    join participants p using (conversation_id, user_id)
                ), locked as materialized (
                    select conversation_id, is_group, instance, last_seq, last_report_id, roster
                    from conversations
                    where conversation_id in (select conversation_id from input)
                    order by conversation_id
                    for no key update
                ), checked as materialized (
                    select i.*, l.is_group, l.instance as present, l.last_seq, l.last_report_id,
                           -- What was seen of the group is older than the lock.
                           l.is_group and l.roster <> (select c.roster from conversations c where c.conversation_id = i.conversation_id)
                               as membership_changed
                    from input i
                    -- Full, here and below, though nothing is without its other half: as in `message::add`.
                    full join locked l using (conversation_id)
                ), fresh as (
                    -- Of two that report the same, the first.
                    select distinct on (j.conversation_id, m.seq, j.user_id, j.type)
                           j.*, m.seq as message_seq, m.message_id, m.valid_until, n.report_id
                    from checked j
                    join unnest($7::bigint[], $8::uuid[], $9::uuid[]) as n (place, message_id, report_id) using (place)
                    -- Looked up one by one, here and below: a join would be planned by how much there was at that time.
                    cross join lateral (
                        select m.seq, m.message_id, m.valid_until from messages m
                        where m.conversation_id = j.conversation_id and m.message_id = n.message_id and m.instance = j.instance
                        limit 1
                    ) m
                    where j.present = j.instance
                        and not j.membership_changed
                        and (
                            select r.seq from reports r
                            where r.conversation_id = j.conversation_id and r.message_seq = m.seq
                                and r.user_id = j.user_id and r.type = j.type
                        ) is null
                    order by j.conversation_id, m.seq, j.user_id, j.type, j.place
                ), sequenced as (
                    select f.*, last_seq + row_number() over same as seq,
                           coalesce(lag(report_id) over same, last_report_id) as after,
                           lead(place) over same is null as is_last
                    from fresh f
                    window same as (partition by conversation_id order by place, message_seq)
                ), stored as (
                    insert into reports (conversation_id, seq, report_id, message_seq, message_id, user_id, station_id,
                                         type, created_at, valid_until)
                    select conversation_id, seq, report_id, message_seq, message_id, user_id, station_id,
                           type, created_at, valid_until
                    from sequenced
                ), conversation_updated as (
                    update conversations c
                    set last_seq = n.seq, last_report_id = n.report_id
                    from sequenced n
                    where c.conversation_id = n.conversation_id and n.is_last
                )
                select j.place as "place!", case when j.present <> j.instance then j.present end as "present?: Instance",
                       j.membership_changed as "membership_changed!", j.peer_id as "peer_id?: UserId",
                       case when j.peer_id is null and n.after is not distinct from j.last_report_id and n.seq is not null then
                           (select array_agg(o.user_id) from participants o where o.conversation_id = j.conversation_id)
                       end as "group?: Vec<UserId>",
                       n.seq as "seq?", n.after as "after?: ReportId", n.report_id as "report_id?: ReportId",
                       n.message_id as "message_id?: MessageId", n.valid_until as "valid_until?: Timestamp"
                from checked j
                full join sequenced n using (place)
                "#,
                column!(conversation_id) as _,
                column!(instance.as_str()) as _,
                column!(user_id) as _,
                column!(station_id) as _,
                column!(r#type.as_str()) as _,
                column!(created_at) as _,
                &places,
                &message_ids as _,
                &report_ids as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;

    let mut outcomes: Vec<Option<Reported>> = batch
        .iter()
        .map(|_| Some(Reported::NoConversation))
        .collect();
    rows.sort_unstable_by_key(|row| (row.place, row.seq));
    // Of each group: who is in it.
    let mut groups: HashMap<ConversationId, Arc<[UserId]>> = HashMap::new();
    for row in rows {
        let (report, outcome) = entry_at(batch, &mut outcomes, row.place)?;
        if row.membership_changed {
            *outcome = None;
            continue;
        }
        if let Some(present) = row.present {
            *outcome = Some(Reported::StaleInstance(present));
            continue;
        }
        if let Some(group) = row.group {
            groups.insert(report.conversation_id, group.into());
        }
        if let Some(Reported::NoConversation) = outcome {
            *outcome = Some(Reported::Stored {
                participants: Arc::default(),
                rows: vec![],
            });
        }
        let Some(Reported::Stored { participants, rows }) = outcome else {
            return Err(impossible("stale and not"));
        };
        match (row.seq, row.report_id, row.message_id, row.valid_until) {
            (Some(seq), Some(report_id), Some(message_id), Some(valid_until)) => {
                if rows.is_empty() {
                    let of_group = || groups.get(&report.conversation_id).cloned();
                    let two = row.peer_id.map(|peer| Arc::from([report.user_id, peer]));
                    *participants = two
                        .or_else(of_group)
                        .ok_or_else(|| impossible("nobody in it"))?;
                }
                rows.push(Row {
                    seq,
                    after: row.after,
                    report_id,
                    message_id,
                    valid_until,
                });
            }
            // Nothing of it was new.
            (None, None, None, None) => {}
            _ => return Err(impossible("half a report")),
        }
    }
    Ok(outcomes)
}
