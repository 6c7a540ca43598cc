-- Cards that do not follow their predecessor, or differ from the key log. Cards of deleted accounts
-- are gone.
with linked as (
    -- Each card, with its hash and its predecessor's.
    select user_id, n, card, log_seq, sha256(convert_to(card, 'UTF8')) as hash,
           lag(n) over same as n_before,
           lag(sha256(convert_to(card, 'UTF8'))) over same as hash_before
    from cards
    window same as (partition by user_id order by n)
)
select count(*) as "count!", min(format('card %s of user %s', n, user_id)) as example
from linked c
cross join server_identity s
where n <> n_before + 1
    or card::jsonb ->> 'prev' <> encode(hash_before, 'hex')
    or (n = 1) <> (card::jsonb ->> 'prev' = '')
    or card::jsonb ->> 'n' is distinct from n::text
    or card::jsonb ->> 'user' is distinct from replace(user_id::text, '-', '')
    or not exists (
        select from key_log l
        where l.seq = c.log_seq and l.entry = sha256(
            convert_to(E'parlance tag 1\n', 'UTF8') || '\x0010' || uuid_send(s.server_id) || '\x0010' || uuid_send(c.user_id)
        ) || int8send(c.n) || c.hash
    )
