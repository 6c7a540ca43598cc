-- Participants who have viewed more than their conversation contains.
select count(*) as "count!", min(format('user %s in conversation %s', p.user_id, p.conversation_id)) as example
from participants p
join conversations c using (conversation_id)
where p.viewed_seq > c.last_seq
