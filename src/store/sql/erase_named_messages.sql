-- Moves messages ($2) of a conversation ($1) and its instance ($3) to expired_messages, and deletes
-- their reports. The conversation is locked. Returns those that existed.
with due as materialized (
    -- Looked up one by one, here and below: the plan of a join would depend on the number of rows
    -- at the time of planning.
    select m.place from unnest($2::uuid[]) as a (message_id)
    cross join lateral (
        select ctid as place from messages m
        where m.conversation_id = $1 and m.message_id = a.message_id and m.instance = $3
        limit 1
    ) m
), gone as (
    -- By their place in the table, which was read a moment ago. Messages that were purged meanwhile
    -- are skipped.
    delete from messages where ctid = any(array(select place from due)) returning *
), about as materialized (
    -- Their reports.
    select r.place, g.seq from gone g
    cross join lateral (
        select ctid as place from reports r
        where r.conversation_id = g.conversation_id and r.message_seq = g.seq
        -- In the order of the index that finds the reports of a single message. While the table is
        -- empty, an index that reads all reports of the conversation seems equally good.
        order by r.user_id, r.type offset 0
    ) r
), counted as materialized (
    -- Number of deleted reports for each message, so that the doctor knows that no number is
    -- missing.
    select seq, count(*) as reports from about group by seq
), unreported as (
    -- The reports are deleted.
    delete from reports where ctid = any(array(select place from about))
), kept as (
    -- Keeps the part of a message that the chain and a retry need.
    insert into expired_messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                  created_at, sent_at, valid_until, data_hash, chain, reports)
    select conversation_id, g.seq, message_id, instance, user_id, station_id, type,
           created_at, sent_at, valid_until, sha256(convert_to(data, 'UTF8')), chain,
           coalesce((select n.reports from counted n where n.seq = g.seq), 0)
    from gone g
), noted as (
    -- Makes nodes read cached pages again.
    update conversations set erased = erased + (select count(*) from gone)
    where conversation_id = $1 and exists (select from gone)
)
select message_id as "message_id: MessageId" from gone order by seq
