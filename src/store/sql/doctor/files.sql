-- Files whose records are not what they were, or that belong to nothing; records of no file, or of no object; objects of
-- no record; and usage that is not what the files count. Bytes outside the database are not looked at.
with records as (
    select file_key, count(*) as records, sum(octet_length(bytes)) as size, count(object_id) as outside,
           sha256(string_agg(hash, ''::bytea order by record)) as digest, bool_and(bytes is null or hash = sha256(bytes)) as is_whole
    from file_records group by file_key
), counted as (
    select user_id, sum(file_cost(size)) as bytes
    from (select user_id, size from files union all select user_id, size from gone_files) f group by user_id
), wrong as (
    select format('file %s of user %s', f.file_id, f.user_id) as what
    from files f
    left join records r using (file_key)
    where not coalesce(r.is_whole, true)
        or f.digest is not null and (r.digest is distinct from f.digest or r.outside = 0 and r.size is distinct from f.size)
        or f.message_seq is not null and not exists (
            select from messages m
            where m.conversation_id = f.conversation_id and m.seq = f.message_seq and m.user_id = f.user_id
        )
        -- A cleared conversation's messages are purged before their files.
        and not exists (
            select from conversations c
            where c.conversation_id = f.conversation_id and c.cleared_seq >= f.message_seq
        )
    union all
    select format('records of a file %s', r.file_key)
    from records r
    where not exists (select from files f where f.file_key = r.file_key)
        and not exists (select from gone_files g where g.file_key = r.file_key)
    union all
    select format('record %s of a file %s', r.record, r.file_key)
    from file_records r
    left join file_objects o on o.object_id = r.object_id
    where r.object_id is not null and (o.state is distinct from 'stored' or o.file_key <> r.file_key)
    union all
    select format('object %s', o.object_id)
    from file_objects o
    where o.state = 'stored'
        and not exists (select from file_records r where r.file_key = o.file_key and r.object_id = o.object_id)
        -- Its records were deleted, and it is about to be.
        and not exists (select from gone_files g where g.file_key = o.file_key)
    union all
    select format('usage of user %s', user_id)
    from file_usage u
    full join counted c using (user_id)
    where coalesce(u.bytes, 0) <> coalesce(c.bytes, 0)
)
select count(*) as "count!", min(what) as example from wrong
