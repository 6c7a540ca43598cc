-- Messages and reports of no conversation.
with rows as (
    select conversation_id, format('message %s of conversation %s', seq, conversation_id) as what from transcript
    union all select conversation_id, format('report %s of conversation %s', seq, conversation_id) from reports
)
select count(*) as "count!", min(what) as example
from rows where not exists (select from conversations c where c.conversation_id = rows.conversation_id)
