-- Reports about a message that does not exist under the id that they have.
select count(*) as "count!", min(format('report %s of conversation %s', r.seq, r.conversation_id)) as example
from reports r
join conversations c using (conversation_id)
where r.seq > c.cleared_seq and not exists (
    select from transcript m
    where m.conversation_id = r.conversation_id and m.seq = r.message_seq and m.message_id = r.message_id
)
