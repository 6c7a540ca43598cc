-- A page of the files that the user ($1) has uploaded, after $2, without their content: it is encrypted, and `get`
-- answers it.
select file_key, json_build_object(
    'fileid', file_id, 'conversationid', replace(conversation_id::text, '-', ''), 'size', size,
    'created', wire_time(created_at), 'complete', digest is not null
)::text as "row!"
from files where user_id = $1 and file_key > $2 order by file_key limit 1000
