-- Messages of an earlier instance that are shown, or of the current one that are hidden.
select count(*) as "count!", min(format('message %s of conversation %s', m.seq, m.conversation_id)) as example
-- Reports have no instance of their own: they follow the message that they are about.
from transcript m
join conversations c using (conversation_id)
where (m.seq > c.cleared_seq) <> (m.instance = c.instance)
