-- The user's account.
select json_build_object(
    'userid', replace(user_id::text, '-', ''), 'email', email, 'fullname', full_name, 'nick', nick, 'role', role,
    'availability', availability, 'chosenavailability', chosen_availability, 'created', wire_time(created_at), 'disabled', wire_time(disabled_at),
    'publickey', public_key, 'rsakey', encrypted_private_key, 'version', vault_version, 'kdf', kdf::json,
    -- Only what an operator has set for this user.
    'limits', (
        select json_strip_nulls(json_build_object(
            'messages', l.messages, 'messagebytes', l.message_bytes, 'storedbytes', l.stored_bytes,
            'conversations', l.conversations, 'newconversations', l.new_conversations, 'friendrequests', l.friend_requests,
            'lookups', l.lookups, 'presencechanges', l.presence_changes,
            'changes', l.changes, 'ownchanges', l.own_changes, 'epochsecrets', l.epoch_secrets, 'newstations', l.new_stations,
            'filebytes', l.file_bytes, 'filequota', l.file_quota
        ))
        from user_limits l where l.user_id = u.user_id
    )
)::text as "row!"
from users u where user_id = $1
