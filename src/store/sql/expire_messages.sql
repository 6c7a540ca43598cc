-- Moves a batch of messages that ended in [$2, $1) to expired_messages, and deletes their reports.
-- Returns the number of messages, and when the last of them ended.
with due as materialized (
    -- The expired messages. Rows that are locked by others are left for the next round.
    select ctid, greatest(valid_until, stored_at) as ended_at from messages
    -- A message that had already ended when it was stored is kept as long as if it had ended then.
    where greatest(valid_until, stored_at) < $1
        and greatest(valid_until, stored_at) >= coalesce($2::timestamptz, '-infinity')
    order by greatest(valid_until, stored_at) limit $3
    for update skip locked
), gone as (
    -- By their physical location, found just now: a join could be planned to read more.
    delete from messages where ctid = any(array(select ctid from due)) returning *
), about as materialized (
    -- Their reports, looked up one by one: a join would be planned by the row counts of that time.
    select r.place, g.conversation_id, g.seq from gone g
    cross join lateral (
        select ctid as place from reports r
        where r.conversation_id = g.conversation_id and r.message_seq = g.seq
        -- In the order of the index that holds the message's own: one that holds all of the conversation's looks as good while
        -- the table is empty.
        order by r.user_id, r.type offset 0
    ) r
), counted as materialized (
    -- Number of reports per message, from which the doctor knows that no number is missing.
    select conversation_id, seq, count(*) as reports from about group by conversation_id, seq
), unreported as (
    -- Deletes the reports.
    delete from reports where ctid = any(array(select place from about))
), kept as (
    -- Keeps what the chain and retries need of a message.
    insert into expired_messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                  created_at, sent_at, valid_until, data_hash, chain, reports)
    select conversation_id, seq, message_id, instance, user_id, station_id, type,
           created_at, sent_at, valid_until, sha256(convert_to(data, 'UTF8')), chain, coalesce(n.reports, 0)
    from gone g
    left join counted n using (conversation_id, seq)
), noted as (
    -- What may have changed in lists: what was unread and is there no more.
    insert into list_changes (changed, conversation_id)
    select distinct pg_current_xact_id(), conversation_id from gone
)
select count(*) as "count!", max(ended_at) as "newest: Timestamp" from due
