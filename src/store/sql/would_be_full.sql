-- Whether a group ($1) would have more than $4 participants, those invited included, if the caller ($2) adds these people
-- ($3): read before anything is locked. Not where the call is refused for a weightier reason.
with newcomers as materialized (
    -- Those who are neither in it nor invited. Looked up one by one, here and below: a join would be planned by how many
    -- rows there were at that time, and could compare each with each.
    select a.user_id
    from unnest($3::uuid[]) as a (user_id)
    where (select true from participants p where p.conversation_id = $1 and p.user_id = a.user_id) is null
        and (select true from invitations i where i.conversation_id = $1 and i.user_id = a.user_id) is null
)
select (select count(*) from participants where conversation_id = $1)
        + (select count(*) from invitations where conversation_id = $1)
        -- No invitation reaches those who declined, so they may not count.
        + (select count(*) from newcomers n where (
            select d.declined from departures d where d.conversation_id = $1 and d.user_id = n.user_id
        ) is not true) > $4
    -- One of them is not there.
    and not exists (select from newcomers n where (select true from users u where u.user_id = n.user_id) is null)
    -- A friend among them blocked the caller.
    and not exists (
        select from newcomers n
        where (select true from blocks b where b.user_id = n.user_id and b.blocked_id = $2) and are_friends(n.user_id, $2)
    ) as "full!"
