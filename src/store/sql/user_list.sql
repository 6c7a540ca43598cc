-- Users by address, after $5, with the numbers that an operator sees.
with page as (
    select u.*, s.last_seen_at, s.stations
    from users u
    cross join lateral (
        select max(last_seen_at) as last_seen_at, count(*) as stations from stations where user_id = u.user_id
    ) s
    where u.deleted_at is null
        and ($1::text is null or position(lower($1) in lower(concat_ws(' ', u.email, u.full_name, u.nick))) > 0)
        and ($2::text is null or u.role = $2)
        and ($3::boolean is null or (u.disabled_at is not null) = $3)
        and ($4::timestamptz is null or coalesce(s.last_seen_at, u.created_at) < $4)
        and ($5::text is null or u.email > $5)
    order by u.email
    limit $6
), pending as (
    -- What is not added up yet.
    select user_id, sum(bytes) as bytes from usage_change group by user_id
)
select user_id as "user_id: UserId", email as "email!", full_name, nick, role as "role: UserRole", created_at as "created_at: Timestamp",
       disabled_at as "disabled_at: Timestamp", last_seen_at as "last_seen_at: Timestamp", stations as "stations!",
       -- Only of living nodes: a node that was killed leaves its rows for a moment.
       (select coalesce(sum(l.sockets), 0) from listeners l join nodes n using (node_id)
           where l.user_id = page.user_id and n.ended_at is null and n.alive_until > now()) as "sockets!",
       (select count(*) from participants p where p.user_id = page.user_id) as "conversations!",
       (coalesce((select u.bytes from usage u where u.user_id = page.user_id), 0)
           + coalesce((select n.bytes from pending n where n.user_id = page.user_id), 0))::bigint as "bytes!",
       coalesce((select f.bytes from file_usage f where f.user_id = page.user_id), 0) as "file_bytes!"
from page
order by email
