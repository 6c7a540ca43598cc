-- Whether a group ($1) would have more than $3 participants, including invited users, if these people
-- ($2) were added: read before anything is locked.
with newcomers as materialized (
    -- The people who neither take part nor are invited. Looked up one by one, here and below: a
    -- join would be planned by the row counts of that time, and could compare each with each.
    select a.user_id
    from unnest($2::uuid[]) as a (user_id)
    where (select true from participants p where p.conversation_id = $1 and p.user_id = a.user_id) is null
        and (select true from invitations i where i.conversation_id = $1 and i.user_id = a.user_id) is null
)
select (select count(*) from participants where conversation_id = $1)
        + (select count(*) from invitations where conversation_id = $1)
        -- Users who declined are not invited again, so they do not count.
        + (select count(*) from newcomers n where (
            select d.declined from departures d where d.conversation_id = $1 and d.user_id = n.user_id
        ) is not true) > $3 as "full!"
