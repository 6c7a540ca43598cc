//! Messages: stored exactly once, sequenced in the order of their commits.

use std::{collections::HashMap, sync::Arc};

use super::{
    Db,
    batcher::{Entry, entry_at},
    impossible, refused_by,
};
use crate::store::rows::{New, NewMessage, Stored};
use parlance_wire::{
    chain::Chain,
    id::{ConversationId, MessageId, UserId},
    text::Instance,
    time::Timestamp,
};

/// How often a batch is tried again after another node stored one of its messages meanwhile.
const MAX_TRIES: usize = 5;
/// A row has about so many bytes beside its `Data`.
const ROW_BYTES: usize = 200;

impl Entry for NewMessage {
    type Outcome = Stored;
    type Key = (ConversationId, MessageId);

    /// A retry is checked by what is stored.
    fn key(&self) -> Option<Self::Key> {
        Some((self.conversation_id, self.message_id))
    }

    fn bytes(&self) -> usize {
        self.data.as_str().len() + ROW_BYTES
    }

    async fn store(db: &Db, batch: &[Self]) -> sqlx::Result<Vec<Option<Stored>>> {
        add(db, batch).await
    }
}

/// Stores a batch in one statement and one commit, and says of each message what became of it, in
/// the order given. The batch must not hold one (conversation, message id) twice.
///
/// Conversations are locked in the order of their ids, so that two nodes cannot deadlock. The lock
/// is what makes `seq` dense and its order that of the commits.
async fn add(db: &Db, batch: &[NewMessage]) -> sqlx::Result<Vec<Option<Stored>>> {
    let mut tries = 0;
    loop {
        match add_once(db, batch).await {
            // While this statement waited for the lock, another one stored the same message: what
            // this one saw was older than the lock. Nothing is stored; the next try sees it.
            Err(error) if tries < MAX_TRIES && refused_by(&error, "messages_one_per_id") => {
                tries += 1;
            }
            result => return result,
        }
    }
}

/// `None`: who is in the group changed while the statement waited for the lock; nothing is stored of this one.
async fn add_once(db: &Db, batch: &[NewMessage]) -> sqlx::Result<Vec<Option<Stored>>> {
    macro_rules! column {
        ($field:ident) => {
            &batch.iter().map(|m| m.$field).collect::<Vec<_>>()
        };
        ($field:ident, text) => {
            &batch.iter().map(|m| m.$field.as_str()).collect::<Vec<_>>()
        };
    }
    let mut rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                with input as materialized (
                    -- What is large stays where it is, until it is stored.
                    select i.*, sha256(convert_to(($11::text[])[place], 'UTF8')) as data_hash, p.peer_id
                    from unnest(
                        $1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
                        $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::bool[]
                    ) with ordinality as i (
                        conversation_id, instance, user_id, station_id, message_id, type,
                        created_at, sent_at, valid_until, valid_until_given, place
                    )
                    join participants p using (conversation_id, user_id)
                ), locked as materialized (
                    select conversation_id, is_group, instance, last_seq, last_message_id, chain as head, roster
                    from conversations
                    where conversation_id in (select conversation_id from input)
                    order by conversation_id
                    for no key update
                ), sequenced as (
                    select j.*,
                           last_seq + count(*) filter (where outcome = 'new') over (partition by conversation_id order by place) as seq,
                           max(place) filter (where outcome = 'new') over (partition by conversation_id) as last_place,
                           max(created_at) filter (where outcome = 'new') over (partition by conversation_id) as newest
                    from (
                        select i.*, l.is_group, l.instance as present, l.last_seq, l.last_message_id, l.head,
                               m.created_at as existing_created_at, m.valid_until as existing_valid_until,
                               case
                                   -- What was seen of the group is older than the lock.
                                   when l.is_group and l.roster <> (
                                       select c.roster from conversations c where c.conversation_id = i.conversation_id
                                   ) then 'membership_changed'
                                   when l.instance <> i.instance then 'stale_instance'
                                   when m.message_id is not null then
                                       case when m.user_id = i.user_id and m.type = i.type and m.data_hash = i.data_hash
                                           and coalesce(m.sent_at, m.created_at) = coalesce(i.sent_at, i.created_at)
                                           and (m.valid_until = i.valid_until or not i.valid_until_given)
                                       then 'existing' else 'id_conflict' end
                                   when i.peer_id is not null and exists (
                                       select from blocks b where b.user_id = i.peer_id and b.blocked_id = i.user_id
                                   ) then 'blocked'
                                   else 'new'
                               end as outcome
                        from input i
                        -- Both have the same conversations. PostgreSQL takes them for few, and would compare each with
                        -- each: a full join it cannot but hash.
                        full join locked l using (conversation_id)
                        -- Looked up one by one: a join would be planned by how much there was at that time.
                        left join lateral (
                            select * from transcript m
                            where m.conversation_id = i.conversation_id and m.message_id = i.message_id and m.instance = i.instance
                            limit 1
                        ) m on true
                        -- Else the outcome is found out once for each column that asks for it.
                        offset 0
                    ) j
                ), linked as materialized (
                    select n.*,
                           case
                               when outcome <> 'new' then null
                               -- The only one of its conversation: the link in place costs half of what the aggregate does.
                               when seq = last_seq + 1 and place = last_place then
                                   chain_link(null, coalesce(head, chain_beginning(conversation_id, instance)), seq, message_id, data_hash)
                               else
                                   chain(coalesce(head, chain_beginning(conversation_id, instance)), seq, message_id, data_hash)
                                       filter (where outcome = 'new' and (seq > last_seq + 1 or place <> last_place))
                                       over (partition by conversation_id order by place)
                           end as chain
                    from sequenced n
                ), stored as (
                    insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                          created_at, sent_at, valid_until, data, chain)
                    select conversation_id, seq, message_id, instance, user_id, station_id, type,
                           created_at, sent_at, valid_until, ($11::text[])[place], chain
                    from linked where outcome = 'new'
                ), conversation_updated as (
                    update conversations c
                    set last_seq = n.seq,
                        last_message_id = n.message_id,
                        chain = n.chain,
                        last_access_at = greatest(c.last_access_at, n.newest)
                    from linked n
                    where c.conversation_id = n.conversation_id and n.place = n.last_place
                )
                select place as "place!", outcome as "outcome!", seq as "seq!",
                       last_message_id as "last_message_id?: MessageId",
                       peer_id as "peer_id?: UserId",
                       case when peer_id is null and (outcome = 'existing' or seq = last_seq + 1) then
                           (select array_agg(o.user_id) from participants o where o.conversation_id = n.conversation_id)
                       end as "group?: Vec<UserId>",
                       case when outcome = 'stale_instance' then present end as "present?: Instance",
                       existing_created_at as "created_at?: Timestamp",
                       existing_valid_until as "valid_until?: Timestamp",
                       case when outcome = 'new' then chain end as "chain?: Chain"
                from linked n
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

    let mut outcomes: Vec<Option<Stored>> =
        batch.iter().map(|_| Some(Stored::NoConversation)).collect();
    rows.sort_unstable_by_key(|row| row.place);
    // Of each conversation: the newest message so far, and of a group who is in it.
    let mut newest = HashMap::<ConversationId, (_, Option<Arc<_>>)>::new();
    for row in rows {
        let (message, slot) = entry_at(batch, &mut outcomes, row.place)?;
        let of_group = row.group.map(Arc::from);
        let two = || row.peer_id.map(|peer| Arc::from([message.user_id, peer]));
        let recipients = |everyone: Option<Arc<[UserId]>>| {
            everyone
                .or_else(two)
                .ok_or_else(|| impossible("nobody in it"))
        };
        *slot = match (
            row.outcome.as_str(),
            row.present,
            row.chain,
            row.created_at.zip(row.valid_until),
        ) {
            ("new", _, Some(chain), _) => {
                let (after, everyone) = newest
                    .entry(message.conversation_id)
                    .or_insert_with(|| (row.last_message_id, of_group));
                Some(Stored::Accepted {
                    created_at: message.created_at,
                    valid_until: message.valid_until,
                    new: Some(New {
                        seq: row.seq,
                        after: after.replace(message.message_id),
                        chain,
                    }),
                    participants: recipients(everyone.clone())?,
                })
            }
            ("existing", _, _, Some((created_at, valid_until))) => Some(Stored::Accepted {
                created_at,
                valid_until,
                new: None,
                participants: recipients(of_group)?,
            }),
            ("stale_instance", Some(present), ..) => Some(Stored::StaleInstance(present)),
            ("id_conflict", ..) => Some(Stored::IdConflict),
            ("blocked", ..) => Some(Stored::Blocked),
            ("membership_changed", ..) => None,
            (outcome, ..) => return Err(impossible(outcome)),
        };
    }
    Ok(outcomes)
}
