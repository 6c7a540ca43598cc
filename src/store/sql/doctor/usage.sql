-- Users whose messages count for more or less than they take.
with counted as (
    select user_id, sum(bytes) as bytes
    from (select user_id, bytes from usage union all select user_id, bytes from usage_change) u
    group by user_id
), stored as (
    select user_id, sum(bytes) as bytes from stored_bytes group by user_id
)
select count(*) as "count!", min(format('usage of user %s', user_id)) as example
from counted c
full join stored s using (user_id)
where coalesce(c.bytes, 0) <> coalesce(s.bytes, 0)
