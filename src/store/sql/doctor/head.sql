-- Conversations that do not refer to their newest message or report.
with wrong as (
    select format('conversation %s', c.conversation_id) as what
    from conversations c
    where c.last_message_id is distinct from (
            -- The transcript instead of `messages`, as the newest may have expired, and is still
            -- referred to.
            select m.message_id from transcript m
            where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq order by m.seq desc limit 1
        )
        or c.last_message_seq <> coalesce((
            select max(m.seq) from transcript m where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq
        ), 0)
        or c.last_report_id is distinct from (
            select r.report_id from reports r
            where r.conversation_id = c.conversation_id and r.seq > c.cleared_seq order by r.seq desc limit 1
        )
        -- If reports were deleted, the newest may have been one of them.
        and not exists (
            select from expired_messages e
            where e.conversation_id = c.conversation_id and e.seq > c.cleared_seq and e.reports > 0
        )
)
select count(*) as "count!", min(what) as example from wrong
