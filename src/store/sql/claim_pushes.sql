-- Claims the stations that are to be pushed because of these messages: $1 conversations, $2 the number of the newest message in
-- each. A station that was pushed less than $3 seconds ago, and has not woken up since, is not claimed again.
with told as (
    -- Whoever takes part, did not write the message, has not viewed it, and has neither muted nor hidden the conversation.
    select distinct p.user_id
    from unnest($1::uuid[], $2::bigint[]) as n (conversation_id, seq)
    join messages m on m.conversation_id = n.conversation_id and m.seq = n.seq
    join conversations c on c.conversation_id = n.conversation_id
    join participants p on p.conversation_id = n.conversation_id
    join users u on u.user_id = p.user_id
    where p.user_id <> m.user_id and p.viewed_seq < n.seq and p.muted_at is null and p.hidden_at is null
        and strpos(p.hide_id, c.instance) = 0 and u.disabled_at is null
), due as (
    -- Rows that another node is claiming are skipped: its push says the same.
    select s.user_id, s.station_id,
           exists (
               select from nodes o where o.node_id = s.node_id and o.ended_at is null and o.alive_until >= clock_timestamp()
           ) as has_socket
    from told
    join push_subscriptions s on s.user_id = told.user_id
    where s.pushed_at is null or s.pushed_at < now() - make_interval(secs => $3)
    for no key update of s skip locked
)
-- What is held back is noted at most every 30 seconds, so that an open socket does not cost a write for each message.
update push_subscriptions s
set pushed_at = case when due.has_socket then s.pushed_at else now() end,
    held_back_at = case when due.has_socket then now() end
from due
where s.user_id = due.user_id and s.station_id = due.station_id
    and (not due.has_socket or s.held_back_at is null or s.held_back_at < now() - interval '30 seconds')
returning s.user_id as "user: UserId", s.station_id as "station: StationId", s.endpoint as "endpoint: PushEndpoint",
          due.has_socket as "has_socket!"
