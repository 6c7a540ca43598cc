-- Stores a batch of messages: the values at one place of the arrays are one. Returns those whose sender takes part
-- in the conversation.
with input as materialized (
    -- The messages of senders who take part. Only what is needed to judge a message leaves its array here: a row that is
    -- copied from step to step is a large part of what this statement costs.
    select i.place, i.conversation_id, ($2::text[])[place] as instance, p.user_id, ($5::uuid[])[place] as message_id,
           ($12::int[])[place] as epoch, p.peer_id, p.is_ended
    from unnest($1::uuid[]) with ordinality as i (conversation_id, place)
    join participants p on p.conversation_id = i.conversation_id and p.user_id = ($3::uuid[])[place]
), locked as materialized (
    -- The conversations, locked in the order of their ids, so that two nodes cannot deadlock.
    -- (`roster` keeps its name in the table: nodes of an earlier release, which go on serving while a newer one
    -- has migrated, read it under that name.)
    select conversation_id, is_group, instance, last_seq, last_message_id, chain as head, roster as members_version, epoch
    from conversations
    where conversation_id in (select conversation_id from input)
    order by conversation_id
    -- Not `for update`: a participant who is inserted meanwhile references the row, and need not
    -- wait.
    for no key update
), checked as (
    -- The outcome for each message.
    select i.place, i.conversation_id, i.user_id, i.message_id, i.peer_id, i.is_ended, b.is_blocked,
           l.instance, l.epoch, l.last_seq, l.last_message_id, l.head,
           m.created_at as existing_created_at, m.valid_until as existing_valid_until,
           case
               -- The lock sees the newest version of the row, the sub-select the one of the snapshot: if they differ,
               -- what this statement saw besides (participants, and the message itself) is older than the lock.
               -- In a direct conversation the number is 0 until a participant's account is deleted.
               when (l.is_group or l.members_version > 0 or l.instance <> i.instance or l.epoch <> i.epoch)
                   and (l.members_version, l.instance, l.epoch) <> (
                       select c.roster, c.instance, c.epoch from conversations c where c.conversation_id = i.conversation_id
                   ) then 'membership_changed'
               when not l.is_group and l.members_version > 0 and not exists (
                   select from users u where u.user_id = i.user_id and u.deleted_at is null
               ) then 'no_sender'
               -- For a client that names epochs, a known message is recognized before its instance
               -- or epoch is judged, as a retry is never a second message.
               when l.instance <> i.instance and (i.epoch is null or m.message_id is null) then 'stale_instance'
               when m.message_id is not null then
                   case when m.user_id = i.user_id and m.type = ($6::text[])[place] and m.data_hash = ($11::bytea[])[place]
                       and coalesce(m.sent_at, m.created_at) = coalesce(($8::timestamptz[])[place], ($7::timestamptz[])[place])
                       and (m.valid_until = ($9::timestamptz[])[place] or not ($10::bool[])[place])
                   then 'existing' else 'id_conflict' end
               when l.epoch <> i.epoch then 'stale_epoch'
               -- After the retries: a message that was stored before the block stays accepted.
               when b.is_blocked then 'blocked'
               when i.is_ended then 'ended'
               else coalesce(($14::text[])[place], 'new')
           end as outcome
    from input i
    -- A full join, although neither side is ever alone: PostgreSQL expects few rows on both sides
    -- and would compare each with each, but it can only hash a full join.
    full join locked l using (conversation_id)
    -- Looked up one by one: a join would be planned by the row counts of that time.
    left join lateral (
        select * from transcript m
        where m.conversation_id = i.conversation_id and m.message_id = i.message_id and m.instance = i.instance
        limit 1
    ) m on true
    cross join lateral (
        select i.peer_id is not null and exists (
            select from blocks b where b.user_id = i.peer_id and b.blocked_id = i.user_id
        ) as is_blocked
        -- Prevents it from being looked up again where it is used again; and below the outcome, likewise.
        offset 0
    ) b
    offset 0
), sequenced as (
    -- The number of each new message, dense because it is assigned under the lock.
    select j.*,
           last_seq + count(*) filter (where outcome = 'new') over (partition by conversation_id order by place) as seq,
           max(place) filter (where outcome = 'new') over (partition by conversation_id) as last_place,
           max(($7::timestamptz[])[place]) filter (where outcome = 'new') over (partition by conversation_id) as newest
    from checked j
), linked as materialized (
    -- The hash over the conversation up to each new message.
    select n.*,
           case
               when outcome <> 'new' then null
               -- The only one of its conversation: its link (as chain_link has it) costs less here than in the aggregate.
               when seq = last_seq + 1 and place = last_place then
                   sha256(
                       coalesce(head, chain_beginning(conversation_id, instance))
                           || int8send(seq) || uuid_send(message_id) || ($11::bytea[])[place]
                   )
               else
                   chain(coalesce(head, chain_beginning(conversation_id, instance)), seq, message_id, ($11::bytea[])[place])
                       filter (where outcome = 'new' and (seq > last_seq + 1 or place <> last_place))
                       over (partition by conversation_id order by place)
           end as chain
    from sequenced n
), stored as (
    -- Stores the messages.
    insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                          created_at, sent_at, valid_until, keep_until, data, chain)
    select conversation_id, seq, message_id, instance, user_id, ($4::uuid[])[place], ($6::text[])[place],
           ($7::timestamptz[])[place], ($8::timestamptz[])[place], ($9::timestamptz[])[place],
           ($15::timestamptz[])[place], ($16::text[])[place], chain
    from linked where outcome = 'new'
), conversation_updated as (
    -- Updates each conversation's counter and head, once for all of its new messages.
    update conversations c
    set last_seq = n.seq,
        last_message_seq = n.seq,
        last_message_id = n.message_id,
        chain = n.chain,
        -- Senders' clocks differ, and a conversation must not move back in the list.
        last_access_at = greatest(c.last_access_at, n.newest)
    from linked n
    where c.conversation_id = n.conversation_id and n.place = n.last_place
), changes as materialized (
    -- What each sender stores, and the conversations that have changed.
    select array_agg(user_id) as user_ids, array_agg(($13::bigint[])[place]) as bytes,
           array_agg(conversation_id) filter (where place = last_place) as conversation_ids
    from linked where outcome = 'new' having count(*) > 0
), counted as (
    -- Appended, so that nobody waits for a sender's row.
    insert into usage_changes (user_ids, bytes) select user_ids, bytes from changes
), noted as (
    -- What has changed in lists.
    insert into list_changes (changed, conversation_ids) select pg_current_xact_id(), conversation_ids from changes
)
select place as "place!", outcome as "outcome!", seq as "seq!",
       last_message_id as "last_message_id?: MessageId",
       peer_id as "peer_id?: UserId",
       -- A group's members are read once for all of its new messages, with the first.
       case when peer_id is null and (outcome = 'existing' or seq = last_seq + 1) then
           (select array_agg(o.user_id) from participants o where o.conversation_id = n.conversation_id)
           -- One who has blocked the sender, or is their friend no longer, is not told of it again.
           when outcome = 'existing' and (is_ended or is_blocked) then array[user_id]
       end as "group?: Vec<UserId>",
       case when outcome = 'stale_instance' then instance end as "current_instance?: Instance",
       case when outcome = 'stale_epoch' then epoch end as "current_epoch?",
       existing_created_at as "existing_created_at?: Timestamp",
       existing_valid_until as "existing_valid_until?: Timestamp",
       case when outcome = 'new' then chain end as "chain?: Chain"
from linked n
