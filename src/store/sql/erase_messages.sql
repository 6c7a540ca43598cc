-- Moves a batch of a user's messages in a conversation, stored until $3 and numbered after $4, to expired_messages, and
-- deletes their reports. Answers how many there were, and the number of the last one.
with locked as materialized (
    -- The conversation first, as whoever else changes it does.
    select conversation_id from conversations where conversation_id = $1 for no key update
), due as materialized (
    -- What others hold is waited for: it must not be left out.
    select ctid, seq from messages
    where conversation_id = (select conversation_id from locked) and user_id = $2 and stored_at <= $3 and seq > $4
    order by seq limit $5
    for update
), gone as (
    delete from messages where ctid = any(array(select ctid from due)) returning *
), about as materialized (
    -- Their reports, looked up one by one: a join would be planned by how many there were at that time.
    select r.place, g.seq from gone g
    cross join lateral (
        select ctid as place from reports r
        where r.conversation_id = g.conversation_id and r.message_seq = g.seq
        -- In the order of the index that holds the message's own: one that holds all of the conversation's looks as good while
        -- the table is empty.
        order by r.user_id, r.type offset 0
    ) r
), counted as materialized (
    -- How many reports go with each message: by this the doctor knows that no number is missing.
    select seq, count(*) as reports from about group by seq
), unreported as (
    delete from reports where ctid = any(array(select place from about))
), kept as (
    -- What the chain needs of a message remains.
    insert into expired_messages (conversation_id, seq, message_id, instance, user_id, station_id, type,
                                  created_at, sent_at, valid_until, data_hash, chain, reports)
    select conversation_id, seq, message_id, instance, user_id, station_id, type,
           created_at, sent_at, valid_until, sha256(convert_to(data, 'UTF8')), chain, coalesce(n.reports, 0)
    from gone g
    left join counted n using (seq)
), noted as (
    -- Pages that were kept elsewhere are read again.
    update conversations set erased = erased + (select count(*) from gone)
    where conversation_id = $1 and exists (select from gone)
), listed as (
    -- What has changed in lists.
    insert into list_changes (changed, conversation_id)
    select pg_current_xact_id(), $1 where exists (select from gone)
)
select count(*) as "count!", max(seq) as newest from due
