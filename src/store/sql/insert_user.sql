-- Stores a user with the keys that open their login: a user without a key cannot come into being. With a code's hash ($9) only
-- if that invitation is valid, which is used up.
with invited as (
    -- Locked: of two who use it at the same moment, the second one finds it used.
    select code_hash from invites
    where code_hash = $9 and used_at is null and expires_at > $8
    for update
), stored as (
    -- The user.
    insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at,
                       kdf_m, kdf_t, kdf_p, kdf_salt)
    select $1, $2, $3, $4, $5, $6, $8, $13, $14, $15, $16
    where $9::bytea is null or exists (select from invited)
    returning user_id
), used as (
    -- The invitation is used up.
    update invites i set used_by = s.user_id, used_at = $8
    from invited, stored s
    where i.code_hash = invited.code_hash
)
insert into credentials (key_hash, user_id, label, kind, created_at)
select k.key_hash, s.user_id, k.label, k.kind, $8
from stored s, (values ($7::bytea, $10, $11), ($12, 'recovery', 'recovery')) as k (key_hash, label, kind)
where k.key_hash is not null
