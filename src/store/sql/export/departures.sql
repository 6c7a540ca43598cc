-- The groups that the user has left, or declined to join.
select json_build_object(
    'conversationid', replace(conversation_id::text, '-', ''), 'departed', wire_time(departed_at), 'declined', declined
)::text as "row!"
from departures where user_id = $1 order by departed_at, conversation_id
