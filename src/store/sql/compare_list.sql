-- Compares a user's ($1) list with the versions ($2) of the lines that a client holds.
with listed as materialized (
    -- Each line's version, with its unread messages counted as in the list.
    select c.conversation_id,
           list_version(
               c.conversation_id, c.xmin, p.xmin, o.names, o.roles,
               (
                   select true from epoch_secrets s
                   where s.conversation_id = c.conversation_id and s.epoch = c.epoch and s.user_id = p.user_id
               ) is not null,
               c.last_seq,
               case when greatest(p.viewed_seq, c.cleared_seq) >= c.last_message_seq then 0 else (
                   select count(*) from (
                       select from (
                           select m.user_id, m.type from messages m
                           where m.conversation_id = c.conversation_id and m.seq > greatest(p.viewed_seq, c.cleared_seq)
                           -- The planner cannot see the limit, so it reads in the order of the
                           -- index.
                           order by m.seq desc limit (select 5000)
                       ) newest
                       where newest.type = 'Message' and newest.user_id <> p.user_id
                       limit 999
                   ) counted
               ) end
           ) as version
    from participants p
    join conversations c using (conversation_id)
    cross join lateral (
        select md5(string_agg((select u.nick from users u where u.user_id = n.user_id), chr(10) order by n.user_id)) as names,
               bit_xor(hashtextextended(n.role, uuid_hash_extended(n.user_id, 0))) as roles
        from participants n where n.conversation_id = c.conversation_id
        offset 0
    ) o
    where p.user_id = $1
)
select array(
           -- `not in` uses a hash of the versions: each is looked up, not compared with every line.
           select m.conversation_id from listed m where m.version not in (select k from unnest($2::bigint[]) as k)
       ) as "changed!: Vec<ConversationId>",
       (select count(*) from listed) as "total!"
