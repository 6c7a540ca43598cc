-- The user's relations to others: friends and blocks, and the requests of others as far as they are
-- shown to the user. Not the user's own requests that wait: those to somebody who has blocked the
-- user, or who does not exist, would be missing.
select json_build_object('userid', replace(other::text, '-', ''), 'relation', relation, 'since', wire_time(since))::text as "row!"
from (
    select f.friend_id as other, 'friend' as relation, f.requested_at as since
    from friendships f
    join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
    where f.user_id = $1
    union all
    select f.user_id, 'requests', f.requested_at from friendships f
    where f.friend_id = $1
        and not exists (select from friendships g where g.user_id = $1 and g.friend_id = f.user_id)
        and not exists (select from blocks b where b.user_id = $1 and b.blocked_id = f.user_id)
    union all
    select blocked_id, 'blocked', blocked_at from blocks where user_id = $1
    union all
    select friend_id, 'left', left_at from left_friends where user_id = $1
) people
order by since, other, relation
