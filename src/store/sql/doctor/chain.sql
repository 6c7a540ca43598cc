-- Messages whose chain does not follow from the previous one, and conversations whose chain is not
-- that of the newest message.
with links as (
    -- The chain that each message must have.
    select t.conversation_id, t.seq, t.chain, c.chain as head,
           lag(t.chain, 1, chain_beginning(c.conversation_id, c.instance)) over same
               || int8send(t.seq) || uuid_send(t.message_id) || t.data_hash as linked,
           lead(t.seq) over same is null as is_last
    from transcript t
    join conversations c using (conversation_id)
    where t.seq > c.cleared_seq
    window same as (partition by t.conversation_id order by t.seq)
), wrong as (
    -- Messages with another chain, and conversations with a chain but no message.
    select format('message %s of conversation %s', seq, conversation_id) as what
    from links where chain <> sha256(linked) or is_last and chain is distinct from head
    union all
    select format('conversation %s', c.conversation_id)
    from conversations c
    where c.chain is not null and not exists (
        select from transcript t where t.conversation_id = c.conversation_id and t.seq > c.cleared_seq
    )
)
select count(*) as "count!", min(what) as example from wrong
