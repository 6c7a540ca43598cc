-- The invitations to groups that wait for the user's answer.
select json_build_object(
    'conversationid', replace(conversation_id::text, '-', ''), 'inviterid', replace(inviter_id::text, '-', ''),
    'secret', secret, 'displayname', display_name, 'invited', wire_time(invited_at)
)::text as "row!"
from visible_invitations where user_id = $1 order by invited_at, conversation_id
