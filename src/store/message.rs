//! Messages: stored exactly once, numbered in the order of their commits.

use super::{Db, refused_by};
use crate::model::{
    id::{MessageId, UserId},
    rows::{NewMessage, Stored},
    text::Instance,
    time::Timestamp,
};

/// How often a batch is tried again after another node stored one of its messages meanwhile.
const TRIES: usize = 5;

/// Stores a batch in one statement and one commit, and says of each message what became of it, in
/// the order given. The batch must not hold one (conversation, message id) twice.
///
/// Conversations are locked in the order of their ids, so that two nodes cannot deadlock. The lock
/// is what makes `seq` dense and its order that of the commits.
pub async fn add(db: &Db, batch: &[NewMessage]) -> sqlx::Result<Vec<Stored>> {
    let mut tries = 0;
    loop {
        tries += 1;
        match add_once(db, batch).await {
            // While this statement waited for the lock, another one stored the same message: what
            // this one saw was older than the lock. Nothing is stored; the next try sees it.
            Err(error) if tries < TRIES && refused_by(&error, "messages_one_per_id") => {}
            result => return result,
        }
    }
}

async fn add_once(db: &Db, batch: &[NewMessage]) -> sqlx::Result<Vec<Stored>> {
    macro_rules! column {
        ($field:ident) => {
            &batch.iter().map(|m| m.$field).collect::<Vec<_>>()
        };
        ($field:ident, text) => {
            &batch.iter().map(|m| m.$field.as_str()).collect::<Vec<_>>()
        };
    }
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                with input as (
                    select * from unnest(
                        $1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                        $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::bool[], $11::text[]
                    ) with ordinality as i (
                        conversation_id, instance, user_id, station_id, message_id, type,
                        created_at, sent_at, valid_until, valid_until_given, data, place
                    )
                ), locked as materialized (
                    select conversation_id, is_group, instance, last_seq, last_message_id
                    from conversations
                    where conversation_id = any($1) and exists (
                        select from input i
                        join participants p using (conversation_id, user_id)
                        where i.conversation_id = conversations.conversation_id
                    )
                    order by conversation_id
                    for no key update
                ), judged as (
                    select i.*, l.instance as present, l.last_seq, l.last_message_id,
                        m.created_at as there_created_at, m.valid_until as there_valid_until,
                        case
                            when l.instance <> i.instance then 'stale'
                            when m.message_id is not null then
                                case when m.user_id = i.user_id and m.type = i.type and m.data = i.data
                                    and coalesce(m.sent_at, m.created_at) = coalesce(i.sent_at, i.created_at)
                                    and (m.valid_until = i.valid_until or not i.valid_until_given)
                                then 'there' else 'other' end
                            when not l.is_group and exists (
                                select from participants o
                                join blocks b on b.user_id = o.user_id and b.blocked_id = i.user_id
                                where o.conversation_id = i.conversation_id and o.user_id <> i.user_id
                            ) then 'blocked'
                            else 'new'
                        end as outcome
                    from input i
                    join locked l using (conversation_id)
                    join participants p on p.conversation_id = i.conversation_id and p.user_id = i.user_id
                    left join messages m on m.conversation_id = i.conversation_id
                        and m.message_id = i.message_id and m.instance = i.instance
                ), numbered as (
                    select j.*, j.last_seq + row_number() over mine as seq,
                           coalesce(lag(message_id) over mine, last_message_id) as after
                    from judged j
                    where outcome = 'new'
                    window mine as (partition by conversation_id order by place)
                ), stored as (
                    insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                          created_at, sent_at, valid_until, data)
                    select conversation_id, seq, message_id, instance, user_id, station_id, type,
                           created_at, sent_at, valid_until, data
                    from numbered
                ), counted as (
                    update conversations c
                    set last_seq = n.last_seq,
                        last_message_id = n.last_message_id,
                        last_access_at = greatest(c.last_access_at, n.newest)
                    from (
                        select conversation_id, max(seq) as last_seq, max(created_at) as newest,
                               (array_agg(message_id order by seq desc))[1] as last_message_id
                        from numbered
                        group by conversation_id
                    ) n
                    where c.conversation_id = n.conversation_id
                )
                select j.place as "place!", j.outcome as "outcome!", j.present as "present!: Instance",
                       n.seq as "seq?", n.after as "after?: MessageId",
                       coalesce(j.there_created_at, j.created_at) as "created_at!: Timestamp",
                       coalesce(j.there_valid_until, j.valid_until) as "valid_until!: Timestamp",
                       case when j.outcome in ('new', 'there') then
                           (select array_agg(o.user_id) from participants o where o.conversation_id = j.conversation_id)
                       end as "participants: Vec<UserId>"
                from judged j
                left join numbered n using (place)
                "#,
                column!(conversation_id) as _,
                column!(instance, text) as _,
                column!(user_id) as _,
                column!(station_id) as _,
                column!(message_id) as _,
                column!(r#type, text) as _,
                column!(created_at) as _,
                column!(sent_at) as _,
                column!(valid_until) as _,
                column!(valid_until_given) as _,
                column!(data, text) as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;

    let mut outcomes: Vec<Stored> = batch.iter().map(|_| Stored::NoConversation).collect();
    for row in rows {
        let outcome = match row.outcome.as_str() {
            "stale" => Stored::Stale(row.present),
            "other" => Stored::OtherContent,
            "blocked" => Stored::Blocked,
            _ => Stored::There {
                created_at: row.created_at,
                valid_until: row.valid_until,
                new: row.seq.map(|seq| (seq, row.after)),
                participants: row.participants.unwrap_or_default(),
            },
        };
        // `with ordinality` counts from one.
        if let Some(slot) = usize::try_from(row.place - 1).ok().and_then(|place| outcomes.get_mut(place)) {
            *slot = outcome;
        }
    }
    Ok(outcomes)
}
