-- A page of the rows of conversation $2 after number $3: all rows visible to the user $1 or, if
-- they no longer take part, only their own. Up to 200 rows, and about 1 MiB.
with shown as (
    select c.conversation_id, c.cleared_seq,
           exists (select from participants p where p.conversation_id = c.conversation_id and p.user_id = $1) as is_member
    from conversations c where c.conversation_id = $2
), rows as (
    -- The first 200 of each kind, looked up in the order of their numbers.
    (select m.seq, octet_length(m.data) as bytes, json_build_object(
         'kind', 'message', 'Seq', m.seq, 'ID', m.message_id, 'Type', m.type, 'Created', wire_time(m.created_at),
         'ValidUntil', wire_time(m.valid_until), 'User', replace(m.user_id::text, '-', ''),
         'Station', replace(m.station_id::text, '-', ''), 'Chain', encode(m.chain, 'hex')
     ) as object, m.data
     from shown s
     join messages m on m.conversation_id = s.conversation_id and m.seq > greatest($3, s.cleared_seq)
         and (s.is_member or m.user_id = $1)
     order by m.seq limit 200)
    union all
    -- The remains of an expired message.
    (select e.seq, 0, json_build_object(
         'kind', 'expired', 'Seq', e.seq, 'ID', e.message_id, 'Type', e.type, 'Created', wire_time(e.created_at),
         'User', replace(e.user_id::text, '-', ''), 'DataHash', encode(e.data_hash, 'hex'), 'Chain', encode(e.chain, 'hex')
     ), null
     from shown s
     join expired_messages e on e.conversation_id = s.conversation_id and e.seq > greatest($3, s.cleared_seq)
         and (s.is_member or e.user_id = $1)
     order by e.seq limit 200)
    union all
    (select r.seq, 0, json_build_object(
         'kind', 'report', 'Seq', r.seq, 'ID', r.report_id, 'Type', r.type, 'Created', wire_time(r.created_at),
         'User', replace(r.user_id::text, '-', ''), 'MessageID', r.message_id
     ), null
     from shown s
     join reports r on r.conversation_id = s.conversation_id and r.seq > greatest($3, s.cleared_seq)
         and (s.is_member or r.user_id = $1)
     order by r.seq limit 200)
), page as (
    -- In one order, up to the first row beyond 1 MiB.
    select *, sum(bytes) over (order by seq) - bytes as before from (select * from rows order by seq limit 200) first
)
select seq as "seq!",
       -- The content is added last, so that it is only read for the rows of this page.
       case when data is null then object::text else left(object::text, -1) || ', "Data" : ' || to_json(data)::text || '}' end as "row!"
from page where before < 1048576
order by seq
