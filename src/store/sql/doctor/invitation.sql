-- Invitations to a missing or empty group, or for one of its participants.
select count(*) as "count!", min(format('invitation of user %s to conversation %s', i.user_id, i.conversation_id)) as example
from invitations i
join conversations c using (conversation_id)
where not c.is_group
    or not exists (select from participants p where p.conversation_id = i.conversation_id)
    or exists (select from participants p where p.conversation_id = i.conversation_id and p.user_id = i.user_id)
