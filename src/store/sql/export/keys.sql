-- The credentials that open the user's login. Of a key, only its hash is stored.
select json_build_object(
    'keyid', replace(credential_id::text, '-', ''), 'kind', kind, 'hash', encode(key_hash, 'hex'), 'label', label,
    'created', wire_time(created_at), 'lastused', wire_time(used_at)
)::text as "row!"
from credentials where user_id = $1 order by created_at, key_hash
