-- Epochs that do not follow their predecessor or are incomplete, and secrets of users who do not
-- take part.
with linked as (
    -- Each announcement, and its predecessor.
    select conversation_id, epoch, announcement,
           lag(epoch, 1, 0) over same as epoch_before,
           lag(sha256(convert_to(announcement, 'UTF8'))) over same as hash_before
    from epochs
    window same as (partition by conversation_id order by epoch)
), wrong as (
    select format('epoch %s of conversation %s', epoch, conversation_id) as what
    from linked
    where epoch <> epoch_before + 1
        or announcement::jsonb ->> 'prev' is distinct from coalesce(encode(hash_before, 'hex'), '')
        or announcement::jsonb ->> 'epoch' is distinct from epoch::text
        or announcement::jsonb ->> 'conversation' is distinct from replace(conversation_id::text, '-', '')
    union all
    select format('conversation %s', c.conversation_id)
    from conversations c
    left join (select conversation_id, max(epoch) as newest from epochs group by conversation_id) e using (conversation_id)
    where c.epoch <> coalesce(e.newest, 0)
    union all
    select format('secret of epoch %s of conversation %s', s.epoch, s.conversation_id)
    from epoch_secrets s
    where not exists (select from epochs e where e.conversation_id = s.conversation_id and e.epoch = s.epoch)
        or not exists (select from participants p where p.conversation_id = s.conversation_id and p.user_id = s.user_id)
)
select count(*) as "count!", min(what) as example from wrong
