-- What the hot statements would otherwise look up again for each message and each line of a list.

-- Counts the changes of who takes part in a group, under the conversation's lock. A statement that waited for
-- the lock knows by it that whom it saw in the group is not who is in it now.
alter table conversations add column roster bigint not null default 0;

-- In a conversation of two, the other one; null in a group.
alter table participants add column peer_id uuid;
update participants p set peer_id = o.user_id
from participants o, conversations c
where o.conversation_id = p.conversation_id and o.user_id <> p.user_id
    and c.conversation_id = p.conversation_id and not c.is_group;
