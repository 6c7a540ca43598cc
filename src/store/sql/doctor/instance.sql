-- Visible messages of an earlier instance, and hidden ones of the current instance.
select count(*) as "count!", min(format('message %s of conversation %s', m.seq, m.conversation_id)) as example
-- Reports have no instance of their own; they follow their message.
from transcript m
join conversations c using (conversation_id)
where (m.seq > c.cleared_seq) <> (m.instance = c.instance)
