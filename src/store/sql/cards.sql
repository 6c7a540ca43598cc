-- The cards of users ($2), each after a number ($3), as far as the reader ($1) may see them, and
-- their public keys: by user and number, at most $4 rows. A user without such a card has one row
-- without a card.
with mine as materialized (
    -- The reader's conversations.
    select conversation_id from participants where user_id = $1
), seen as materialized (
    -- The users whose cards the reader may see. Looked up one by one, here and below: a join would
    -- be planned by the row counts of that time, and could compare each with each.
    select a.user_id, a.after
    from unnest($2::uuid[], $3::bigint[]) as a (user_id, after)
    where a.user_id = $1
        or are_friends($1, a.user_id)
        or (
            select true from participants o
            where o.user_id = a.user_id and o.conversation_id in (select conversation_id from mine) limit 1
        )
        or (
            select true from former_participants o
            where o.user_id = a.user_id and o.conversation_id in (select conversation_id from mine) limit 1
        )
)
select s.user_id as "user_id!: UserId", u.public_key, c.card as "card?", c.sign_signature as "sign_signature?",
       c.rsa_signature as "rsa_signature?", c.prev_signature
from seen s
join lateral (
    -- Users who deleted their account have no key.
    select u.public_key from users u where u.user_id = s.user_id and u.deleted_at is null limit 1
) u on true
left join lateral (
    select c.n, c.card, c.sign_signature, c.rsa_signature, c.prev_signature
    from cards c where c.user_id = s.user_id and c.n > s.after order by c.n limit $4
) c on true
order by s.user_id, c.n
limit $4
