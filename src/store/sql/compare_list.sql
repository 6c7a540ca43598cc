-- What has changed in a user's ($1) list since a mark ($2) was made.
with present as materialized (
    -- What the next mark says: all transactions before `since` have ended, and are seen here.
    select e.era_id, e.complete_from, s.since, s.next, n.n as nicks
    from current_list_era e
    cross join (
        select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as since,
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next
    ) s
    cross join (select n from nick_changes where is_count) n
), marked as materialized (
    -- The mark, taken apart.
    select ('x' || encode(substr($2::bytea, 17, 8), 'hex'))::bit(64)::bigint as since,
           ('x' || encode(substr($2, 25, 8), 'hex'))::bit(64)::bigint as conversations,
           ('x' || encode(substr($2, 33, 8), 'hex'))::bit(64)::bigint as nicks
), known as materialized (
    -- The same, if it was made for this reader in this era, and is not so old that 32 bits of a transaction's number do not say
    -- which one is older.
    select m.since, m.conversations, m.nicks, age((m.since % 4294967296)::text::xid) as age
    from marked m
    join present p on list_mark(p.era_id, $1, m.since, m.conversations, m.nicks) = $2
    where m.since >= p.next - 1073741824
), renamed as materialized (
    -- Conversations of users with another nick. Of more than 2000 none is looked at; a limit that the planner cannot see, so that
    -- it reads in the order of the index.
    select o.conversation_id from (
        select user_id from users
        where renamed > (select nicks from known) and renamed > 0
        order by renamed
        limit (select 2001)
    ) u
    cross join lateral (select conversation_id from participants where user_id = u.user_id offset 0) o
    limit (select 2001)
), own as materialized (
    -- Which conversations there are, and those whose rows of the reader's own have changed.
    select coalesce(bit_xor(uuid_hash_extended(p.conversation_id, 0)), 0) as conversations,
           array_agg(p.conversation_id) filter (where age(p.xmin) <= (select age from known)) as changed
    from participants p where p.user_id = $1
), way as materialized (
    -- Whether all is known that anyone has changed since.
    select since::text::xid8 as since from known
    where (select complete_from from present) <= since::text::xid8
), logged as materialized (
    -- It, unless that is more than what it takes to look at all of the reader's.
    select c.conversation_id from way w
    join list_changes l on l.changed >= w.since
    cross join lateral unnest(l.conversation_ids || l.conversation_id) c (conversation_id)
    where c.conversation_id is not null
    limit (select 2001)
), candidates as (
    -- The reader's among them, or else all of the reader's.
    select p.conversation_id, p.viewed_seq
    from (select distinct conversation_id from logged where (select count(*) from logged) <= 2000) l
    cross join lateral (
        select conversation_id, viewed_seq from participants
        where conversation_id = l.conversation_id and user_id = $1
        offset 0
    ) p
    union all
    select p.conversation_id, p.viewed_seq from participants p
    where p.user_id = $1 and exists (select from known)
        and not (exists (select from way) and (select count(*) from logged) <= 2000)
), changed as (
    select k.conversation_id from candidates k
    cross join lateral (
        select age(xmin) as age, last_message_seq, greatest(k.viewed_seq, cleared_seq) as read_seq from conversations
        where conversation_id = k.conversation_id
        offset 0
    ) c
    where c.age <= (select age from known)
        -- What was unread may have expired since. Of more than 100 it is not looked up when they did.
        or c.last_message_seq > c.read_seq and (
            select bool_or(e.age <= (select age from known)) or count(*) > 100 from (
                select age(xmin) as age from expired_messages
                where conversation_id = k.conversation_id and seq > c.read_seq
                limit (select 101)
            ) e
        )
    union
    select unnest(changed) from own
    union
    select r.conversation_id from renamed r
    cross join lateral (
        select from participants where conversation_id = r.conversation_id and user_id = $1 offset 0
    ) p
)
select list_mark(p.era_id, $1, p.since, o.conversations, p.nicks) as "mark!: ListMark",
       exists (select from known) and (select count(*) from renamed) <= 2000 as "is_known!",
       array(select conversation_id from changed) as "changed!: Vec<ConversationId>",
       case when o.conversations is distinct from (select conversations from known) then
           array(select conversation_id from participants where user_id = $1)
       end as "conversations?: Vec<ConversationId>"
from own o
cross join present p
