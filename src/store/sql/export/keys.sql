-- The keys for the user's login, of which only hashes are stored.
select json_build_object('hash', encode(key_hash, 'hex'), 'label', label, 'created', wire_time(created_at))::text as "row!"
from credentials where user_id = $1 order by created_at, key_hash
