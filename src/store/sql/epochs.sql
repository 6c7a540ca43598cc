-- The newest $4 epochs of a conversation ($1) before epoch $3, newest first, with the reader's ($2)
-- copy of each secret: as many as have $5 bytes together, but at least one. Returns one row without
-- an epoch if there is none, and no row if the reader does not take part.
select e.epoch as "epoch?", e.announcement as "announcement?", e.signature as "signature?", (
           select s.secret from epoch_secrets s
           where s.conversation_id = $1 and s.epoch = e.epoch and s.user_id = $2
       ) as "secret?"
from participants p
left join lateral (
    select b.epoch, b.announcement, b.signature
    from (
        select e.epoch, e.announcement, e.signature,
               sum(octet_length(e.announcement)) over (order by e.epoch desc) as bytes
        from (
            select * from epochs e where e.conversation_id = $1 and e.epoch < $3 order by e.epoch desc limit $4
        ) e
    ) b
    where b.bytes <= $5::bigint or b.bytes = octet_length(b.announcement)
) e on true
where p.conversation_id = $1 and p.user_id = $2
order by e.epoch desc
