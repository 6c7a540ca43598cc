-- The user's account.
select json_build_object(
    'userid', replace(user_id::text, '-', ''), 'email', email, 'fullname', full_name, 'nick', nick, 'role', role,
    'availability', availability, 'created', wire_time(created_at), 'disabled', wire_time(disabled_at),
    'publickey', public_key, 'rsakey', encrypted_private_key, 'version', vault_version, 'kdf', kdf::json
)::text as "row!"
from users where user_id = $1
