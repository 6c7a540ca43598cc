-- Conversations whose numbers have holes, or do not end at the counter.
with rows as (
    -- The existing rows. Reports are deleted with their message, and their number is recorded
    -- there.
    select conversation_id, count(*) + sum(reports_gone) as found, max(seq) as newest, sum(reports_gone) as gone
    from (
        select conversation_id, seq, reports_gone from transcript
        union all select conversation_id, seq, 0 from reports
    ) r
    join conversations c using (conversation_id)
    -- Rows that a clear made unreachable are being deleted, in any order.
    where r.seq > c.cleared_seq
    group by conversation_id
), wrong as (
    -- Those that contradict the counter.
    select format('conversation %s has %s rows up to number %s, where %s to %s are counted', c.conversation_id,
                  coalesce(found, 0), coalesce(newest, 0), c.cleared_seq + 1, c.last_seq) as what
    from conversations c
    left join rows using (conversation_id)
    where coalesce(found, 0) <> c.last_seq - c.cleared_seq
        or newest > c.last_seq or newest < c.last_seq and gone = 0
)
select count(*) as "count!", min(what) as example from wrong
