-- Stores the new reports of a batch: each row of the first arrays is one, and the last three
-- contain its messages. Returns each report whose user takes part in the conversation, with a row
-- for each message that it is new for.
with input as materialized (
    -- The reports of users who take part.
    select i.*, p.peer_id, p.is_ended
    from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::timestamptz[])
        with ordinality as i (conversation_id, instance, user_id, station_id, type, created_at, place)
    join participants p using (conversation_id, user_id)
), locked as materialized (
    -- The conversations, locked in the order of their ids, so that two nodes cannot deadlock.
    select conversation_id, is_group, instance, last_seq, last_report_id, roster as members_version
    from conversations
    where conversation_id in (select conversation_id from input)
    -- The same order as for messages, as both kinds of batch run concurrently on a node.
    order by conversation_id
    for no key update
), checked as materialized (
    -- The outcome for each report; membership_changed and the full join, here and below, as in add_messages.sql.
    select i.*, l.last_seq, l.last_report_id, l.instance as current_instance,
           case
               when (l.is_group or l.members_version > 0) and l.members_version <> (
                   select c.roster from conversations c where c.conversation_id = i.conversation_id
               ) then 'membership_changed'
               when not l.is_group and l.members_version > 0 and not exists (
                   select from users u where u.user_id = i.user_id and u.deleted_at is null
               ) then 'no_sender'
               when l.instance <> i.instance then 'stale_instance'
               -- Taken like any other, so that they do not learn of the block.
               when i.is_ended or i.peer_id is not null and exists (
                   select from blocks b where b.user_id = i.peer_id and b.blocked_id = i.user_id
               ) then 'silent'
               else 'stored'
           end as outcome
    from input i
    full join locked l using (conversation_id)
), fresh as (
    -- The messages that each is new for; of duplicates, the first.
    select distinct on (j.conversation_id, m.seq, j.user_id, j.type)
           j.*, m.seq as message_seq, m.message_id, m.valid_until, n.report_id
    from checked j
    join unnest($7::bigint[], $8::uuid[], $9::uuid[]) as n (place, message_id, report_id) using (place)
    -- Looked up one by one, here and below: a join would be planned by the row counts of that time.
    cross join lateral (
        select m.seq, m.message_id, m.valid_until from messages m
        where m.conversation_id = j.conversation_id and m.message_id = n.message_id and m.instance = j.instance
        limit 1
    ) m
    where j.outcome in ('stored', 'silent')
        and (
            select r.seq from reports r
            where r.conversation_id = j.conversation_id and r.message_seq = m.seq
                and r.user_id = j.user_id and r.type = j.type
        ) is null
    order by j.conversation_id, m.seq, j.user_id, j.type, j.place
), sequenced as (
    -- The number of each, dense because it is assigned under the lock.
    select f.*, last_seq + row_number() over same as seq,
           coalesce(lag(report_id) over same, last_report_id) as after,
           lead(place) over same is null as is_last
    from fresh f where outcome = 'stored'
    window same as (partition by conversation_id order by place, message_seq)
), stored as (
    -- Stores the reports.
    insert into reports (conversation_id, seq, report_id, message_seq, message_id, user_id, station_id,
                         type, created_at, valid_until)
    select conversation_id, seq, report_id, message_seq, message_id, user_id, station_id,
           type, created_at, valid_until
    from sequenced
), conversation_updated as (
    -- Updates each conversation's counter and newest report, once for all of its new rows.
    update conversations c
    set last_seq = n.seq, last_report_id = n.report_id
    from sequenced n
    where c.conversation_id = n.conversation_id and n.is_last
), viewed as (
    -- The newest message that each has viewed.
    select conversation_id, user_id, max(message_seq) as seq from fresh
    where type = 'viewed' group by conversation_id, user_id
), viewed_updated as (
    -- It only grows: reports may arrive in any order.
    update participants p
    set viewed_seq = v.seq
    from viewed v
    where p.conversation_id = v.conversation_id and p.user_id = v.user_id and p.viewed_seq < v.seq
    returning p.conversation_id
), noted as (
    -- What has changed in lists.
    insert into list_changes (changed, conversation_ids)
    select pg_current_xact_id(), array_agg(conversation_id) from (
        select conversation_id from sequenced where is_last
        union
        select conversation_id from viewed_updated
    ) n having count(*) > 0
)
select j.place as "place!", j.outcome as "outcome!",
       case when j.outcome = 'stale_instance' then j.current_instance end as "current_instance?: Instance",
       j.peer_id as "peer_id?: UserId",
       -- A group's members are read once for all of its new rows, with the first.
       case when j.peer_id is null and n.after is not distinct from j.last_report_id and n.seq is not null then
           (select array_agg(o.user_id) from participants o where o.conversation_id = j.conversation_id)
       end as "group?: Vec<UserId>",
       n.seq as "seq?", n.after as "after?: ReportId", n.report_id as "report_id?: ReportId",
       n.message_id as "message_id?: MessageId", n.valid_until as "valid_until?: Timestamp"
from checked j
full join sequenced n using (place)
