-- Conversations whose numbers have holes, or do not end where the counter stands.
with rows as (
    -- The rows that are there.
    -- Reports go with the message that they are about: how many is written down there.
    select conversation_id, count(*) + sum(reports_gone) as found, max(seq) as newest, sum(reports_gone) as gone
    from (
        select conversation_id, seq, reports_gone from transcript
        union all select conversation_id, seq, 0 from reports
    ) r
    join conversations c using (conversation_id)
    -- What a clear made unreachable is being deleted, in any order.
    where r.seq > c.cleared_seq
    group by conversation_id
), wrong as (
    -- Those that the counter does not agree with.
    select format('conversation %s has %s rows up to number %s, where %s to %s are counted', c.conversation_id,
                  coalesce(found, 0), coalesce(newest, 0), c.cleared_seq + 1, c.last_seq) as what
    from conversations c
    left join rows using (conversation_id)
    where coalesce(found, 0) <> c.last_seq - c.cleared_seq
        or newest > c.last_seq or newest < c.last_seq and gone = 0
)
select count(*) as "count!", min(what) as example from wrong
