-- The user's invitations to register.
select json_build_object(
    'inviteid', replace(invite_id::text, '-', ''), 'email', email, 'uses', uses, 'used', used, 'created', wire_time(created_at),
    'expires', wire_time(expires_at), 'revoked', wire_time(revoked_at)
)::text as "row!"
from invites where inviter_id = $1 order by created_at, invite_id
