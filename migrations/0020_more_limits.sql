-- More limits of what one user may do.

-- Changes that others are notified of, and secrets of epochs.
alter table user_limits
    add column changes int,
    add column epoch_secrets int;

-- The friends of a user who are notified of changes: neither those whom the user blocked, who see nothing of them, nor
-- those who blocked the user, who want to hear nothing of them.
create or replace function friends_who_see(of_user uuid) returns uuid[] language sql stable as $$
    select array(
        select f.friend_id from friendships f
        join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
        where f.user_id = of_user
            and not exists (select from blocks b where b.user_id = of_user and b.blocked_id = f.friend_id)
            and not exists (select from blocks b where b.user_id = f.friend_id and b.blocked_id = of_user)
    )
$$;

-- One row: the bytes that a message counts for. Of one that expired or was erased the row stays, and goes on to count.
create view stored_bytes as
select user_id, message_bytes(data) as bytes from messages
union all
select user_id, message_bytes('') from expired_messages;

insert into usage_changes (user_ids, bytes)
select array_agg(user_id), array_agg(bytes) from (
    select user_id, sum(message_bytes(''))::bigint as bytes from expired_messages group by user_id
) expired having count(*) > 0;
