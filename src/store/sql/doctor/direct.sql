-- Direct conversations without two participants who refer to each other, or whose id is not derived
-- from theirs.
with direct as (
    select c.conversation_id, count(p.user_id) as participants,
           array_agg(replace(p.user_id::text, '-', '') order by p.user_id) as users,
           bool_and(p.peer_id is not null and exists (
               select from participants o where o.conversation_id = c.conversation_id and o.user_id = p.peer_id
           ) and p.peer_id <> p.user_id) as know_each_other
    from conversations c
    -- A left join, as a conversation without participants is a finding too.
    left join participants p using (conversation_id)
    where not c.is_group
    group by c.conversation_id
)
select count(*) as "count!", min(format('conversation %s', conversation_id)) as example
from direct
where participants <> 2 or not know_each_other
    or replace(conversation_id::text, '-', '') <> md5(users[1] || ';' || users[2])
