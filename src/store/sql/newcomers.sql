-- Those of the people to be added ($3) to a group ($1) by the caller ($2) who do not take part yet,
-- and what is known about each.
with asked as materialized (
    -- Their relation to the caller. Two lookups by key: a join could compare all whom the caller
    -- requested with all who requested the caller.
    select a.user_id,
           (select true from friendships f where f.user_id = $2 and f.friend_id = a.user_id) is not null
               and (select true from friendships g where g.user_id = a.user_id and g.friend_id = $2) is not null as is_friend
    from unnest($3::uuid[]) as a (user_id)
), meets_blocked as materialized (
    -- Users who would meet someone whom they blocked: a participant, or another user who is added.
    -- Users who are only invited do not count, as the result would reveal blocks between others to
    -- the caller.
    select distinct b.user_id
    from asked a
    join blocks b on b.user_id = a.user_id
    where b.blocked_id in (select user_id from asked where is_friend)
        or exists (select from participants p where p.conversation_id = $1 and p.user_id = b.blocked_id)
)
-- Looked up one by one: a join would be planned by the row counts of that time, and could compare
-- each with each.
select a.user_id as "user_id!: UserId", a.is_friend as "is_friend!",
       (select true from blocks b where b.user_id = a.user_id and b.blocked_id = $2) is not null as "has_blocked!",
       a.user_id in (select user_id from meets_blocked) or d.departed_at is not null
           or (select count(*) from (select from participants p where p.user_id = a.user_id limit l.by_others) taken) >= l.by_others
           as "needs_consent!",
       -- The clock instead of now(), which is when the transaction began, before it waited for its
       -- locks.
       coalesce(d.declined and d.departed_at > clock_timestamp() - interval '1 day', false) as "declined_recently!"
from asked a
-- How many conversations others can add them to, where $4 is the usual total: nine tenths.
cross join lateral (
    select most - most / 10 as by_others from conversations_allowed(a.user_id, $4) as c (most)
) l
left join lateral (
    select d.departed_at, d.declined from departures d where d.conversation_id = $1 and d.user_id = a.user_id limit 1
) d on true
-- Existing participants stay as they are, so a retry changes nothing.
where (select true from participants p where p.conversation_id = $1 and p.user_id = a.user_id) is null
order by a.user_id
