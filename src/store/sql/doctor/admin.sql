-- Groups with participants and no admin.
select count(*) as "count!", min(format('group %s', conversation_id)) as example
from (
    select conversation_id from conversations c join participants p using (conversation_id)
    where c.is_group group by conversation_id having not bool_or(p.role = 'admin')
) wrong
