-- Locks the files that a batch of messages names: each row of the arrays is one. Returns, for each
-- message that names any, whether it can have all of them.
with named as materialized (
    -- The files, by the message's index in the batch.
    select * from unnest($1::int[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[])
        as i (index, file_id, user_id, conversation_id, instance)
), locked as materialized (
    -- In the order of their keys, so that two batches cannot deadlock. One that waited finds out
    -- here that another message has the file.
    select f.file_key, f.file_id, f.user_id, f.conversation_id, f.instance from files f
    where f.file_key = any(array(
        select k.file_key from named i
        cross join lateral (
            select file_key from files where file_id = i.file_id and user_id = i.user_id limit 1
        ) k
    ))
    -- Written so that it does not suggest the index of all files without a message.
    and f.digest is not null and coalesce(f.message_seq, 0) = 0
    order by f.file_key
    for no key update
)
select i.index as "index!", bool_and(exists (
    select from locked l
    where l.file_id = i.file_id and l.user_id = i.user_id
        and l.conversation_id = i.conversation_id and l.instance = i.instance
)) as "has_all!"
from named i group by i.index
