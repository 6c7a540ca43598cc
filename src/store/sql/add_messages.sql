-- Stores a batch of messages: each row of the arrays is one. Returns those whose sender takes part
-- in the conversation.
with input as materialized (
    -- The messages of senders who take part. Data is large, and stays in its array until it is
    -- stored.
    select i.*, sha256(convert_to(($11::text[])[place], 'UTF8')) as data_hash, p.peer_id, p.is_ended
    from unnest(
        $1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::text[],
        $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::bool[], $12::int[],
        $13::bigint[], $14::timestamptz[], $15::bool[]
    ) with ordinality as i (
        conversation_id, instance, user_id, station_id, message_id, type,
        created_at, sent_at, valid_until, valid_until_given, epoch,
        bytes, keep_until, can_have_files, place
    )
    join participants p using (conversation_id, user_id)
), locked as materialized (
    -- The conversations, locked in the order of their ids, so that two nodes cannot deadlock.
    -- (`roster` keeps its name in the table: nodes of an earlier release, which go on serving while a newer one
    -- has migrated, read it under that name.)
    select conversation_id, is_group, instance, last_seq, last_message_id, chain as head, roster as members_version,
           epoch as current_epoch
    from conversations
    where conversation_id in (select conversation_id from input)
    order by conversation_id
    -- Not `for update`: a participant who is inserted meanwhile references the row, and need not
    -- wait.
    for no key update
), checked as (
    -- The outcome for each message.
    select i.*, l.is_group, l.instance as current_instance, l.current_epoch, l.last_seq, l.last_message_id, l.head,
           m.created_at as existing_created_at, m.valid_until as existing_valid_until,
           case
               -- The lock sees the newest version of the row, the sub-select the one of the snapshot: if they differ,
               -- the participants that this statement saw are older than the lock.
               -- In a direct conversation the number is 0 until a participant's account is deleted.
               when (l.is_group or l.members_version > 0) and l.members_version <> (
                   select c.roster from conversations c where c.conversation_id = i.conversation_id
               ) then 'membership_changed'
               when not l.is_group and l.members_version > 0 and not exists (
                   select from users u where u.user_id = i.user_id and u.deleted_at is null
               ) then 'no_sender'
               -- For a client that names epochs, a known message is recognized before its instance
               -- or epoch is judged, as a retry is never a second message. If the lock is newer
               -- than the snapshot, the message may be, too.
               when l.instance <> i.instance and (i.epoch is null or m.message_id is null) then
                   case when i.epoch is not null and l.instance <> (
                       select c.instance from conversations c where c.conversation_id = i.conversation_id
                   ) then 'membership_changed' else 'stale_instance' end
               when m.message_id is not null then
                   case when m.user_id = i.user_id and m.type = i.type and m.data_hash = i.data_hash
                       and coalesce(m.sent_at, m.created_at) = coalesce(i.sent_at, i.created_at)
                       and (m.valid_until = i.valid_until or not i.valid_until_given)
                   then 'existing' else 'id_conflict' end
               when l.current_epoch <> i.epoch then
                   case when l.current_epoch <> (
                       select c.epoch from conversations c where c.conversation_id = i.conversation_id
                   ) then 'membership_changed' else 'stale_epoch' end
               -- After the retries: a message that was stored before the block stays accepted.
               when i.peer_id is not null and exists (
                   select from blocks b where b.user_id = i.peer_id and b.blocked_id = i.user_id
               ) then 'blocked'
               when i.is_ended then 'ended'
               -- A sender over their storage limit stores nothing more.
               when i.bytes is null then 'full'
               when not i.can_have_files then 'no_file'
               else 'new'
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
    -- Prevents the outcome from being computed again for each column that uses it.
    offset 0
), sequenced as (
    -- The number of each new message, dense because it is assigned under the lock.
    select j.*,
           last_seq + count(*) filter (where outcome = 'new') over (partition by conversation_id order by place) as seq,
           max(place) filter (where outcome = 'new') over (partition by conversation_id) as last_place,
           max(created_at) filter (where outcome = 'new') over (partition by conversation_id) as newest
    from checked j
), linked as materialized (
    -- The hash over the conversation up to each new message.
    select n.*,
           case
               when outcome <> 'new' then null
               -- The only one of its conversation: computing its link here costs half of the
               -- aggregate.
               when seq = last_seq + 1 and place = last_place then
                   chain_link(null, coalesce(head, chain_beginning(conversation_id, instance)), seq, message_id, data_hash)
               else
                   chain(coalesce(head, chain_beginning(conversation_id, instance)), seq, message_id, data_hash)
                       filter (where outcome = 'new' and (seq > last_seq + 1 or place <> last_place))
                       over (partition by conversation_id order by place)
           end as chain
    from sequenced n
), stored as (
    -- Stores the messages.
    insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                          created_at, sent_at, valid_until, keep_until, data, chain)
    select conversation_id, seq, message_id, instance, user_id, station_id, type,
           created_at, sent_at, valid_until, keep_until, ($11::text[])[place], chain
    from linked where outcome = 'new'
), counted as (
    -- What each sender stores with them. Appended, so that nobody waits for a sender's row.
    insert into usage_changes (user_ids, bytes)
    select array_agg(user_id), array_agg(bytes) from linked where outcome = 'new' having count(*) > 0
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
), noted as (
    -- What has changed in lists.
    insert into list_changes (changed, conversation_ids)
    select pg_current_xact_id(), array_agg(conversation_id) from linked where place = last_place having count(*) > 0
)
select place as "place!", outcome as "outcome!", seq as "seq!",
       last_message_id as "last_message_id?: MessageId",
       peer_id as "peer_id?: UserId",
       -- A group's members are read once for all of its new messages, with the first.
       case when peer_id is null and (outcome = 'existing' or seq = last_seq + 1) then
           (select array_agg(o.user_id) from participants o where o.conversation_id = n.conversation_id)
           -- One who has blocked the sender, or is their friend no longer, is not told of it again.
           when outcome = 'existing' and (is_ended or exists (
               select from blocks b where b.user_id = n.peer_id and b.blocked_id = n.user_id
           )) then array[user_id]
       end as "group?: Vec<UserId>",
       case when outcome = 'stale_instance' then current_instance end as "current_instance?: Instance",
       case when outcome = 'stale_epoch' then current_epoch end as "current_epoch?",
       existing_created_at as "existing_created_at?: Timestamp",
       existing_valid_until as "existing_valid_until?: Timestamp",
       case when outcome = 'new' then chain end as "chain?: Chain"
from linked n
