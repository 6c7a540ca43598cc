-- Moves messages ($2) of a conversation ($1) and its instance ($3) to expired_messages, and deletes their reports. Under the
-- conversation's lock. Answers which there were.
with due as materialized (
    -- Looked up one by one, here and below: a join would be planned by how many rows there were at that time.
    select m.place from unnest($2::uuid[]) as a (message_id)
    cross join lateral (
        select ctid as place from messages m
        where m.conversation_id = $1 and m.message_id = a.message_id and m.instance = $3
        limit 1
    ) m
), gone as (
    -- By their place in the table, found a moment ago. What the purge has moved meanwhile is gone already.
    delete from messages where ctid = any(array(select place from due)) returning *
), about as materialized (
    -- Their reports.
    select r.place, g.seq from gone g
    cross join lateral (
        select ctid as place from reports r
        where r.conversation_id = g.conversation_id and r.message_seq = g.seq
        -- In the order of the index that holds the message's own: one that holds all of the conversation's looks as good
        -- while the table is empty.
        order by r.user_id, r.type offset 0
    ) r
), counted as materialized (
    -- How many reports go with each message: by this the doctor knows that no number is missing.
    select seq, count(*) as reports from about group by seq
), unreported as (
    -- The reports are deleted.
    delete from reports where ctid = any(array(select place from about))
), kept as (
    -- What the chain and a retry need of a message remains.
    insert into expired_messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                  created_at, sent_at, valid_until, data_hash, chain, reports)
    select conversation_id, g.seq, message_id, instance, user_id, station_id, type,
           created_at, sent_at, valid_until, sha256(convert_to(data, 'UTF8')), chain,
           coalesce((select n.reports from counted n where n.seq = g.seq), 0)
    from gone g
), noted as (
    -- Pages that were kept elsewhere are read again.
    update conversations set erased = erased + (select count(*) from gone)
    where conversation_id = $1 and exists (select from gone)
), listed as (
    -- What has changed in lists.
    insert into list_changes (changed, conversation_id)
    select pg_current_xact_id(), $1 where exists (select from gone)
)
select message_id as "message_id: MessageId" from gone order by seq
