-- A transcript that proves itself, and the end of what expired.

-- What a chain begins with: no conversation, and no life of one, can be shown as another.
create function chain_beginning(conversation_id uuid, instance text) returns bytea
language sql immutable parallel safe
return sha256(uuid_send(conversation_id) || convert_to(instance, 'UTF8'));

-- One link: SHA-256(previous chain, seq, message id, SHA-256(Data)). head is what the chain begins with or stands at.
create function chain_link(previous bytea, head bytea, seq bigint, message_id uuid, data_hash bytea) returns bytea
language plpgsql immutable parallel safe
as $$ begin return sha256(coalesce(previous, head) || int8send(seq) || uuid_send(message_id) || data_hash); end $$;

create aggregate chain(head bytea, seq bigint, message_id uuid, data_hash bytea) (sfunc = chain_link, stype = bytea, parallel = safe);

-- Each message's link; a conversation's head: null, while its present life has no message.
alter table messages add column chain bytea;
update messages m set chain = linked.chain
from (
    select conversation_id, seq,
           chain(chain_beginning(conversation_id, instance), seq, message_id, sha256(convert_to(data, 'UTF8')))
               over (partition by conversation_id, instance order by seq) as chain
    from messages
) linked
where m.conversation_id = linked.conversation_id and m.seq = linked.seq;
alter table messages alter column chain set not null;

alter table conversations add column chain bytea;
update conversations c set chain = (
    select m.chain from messages m
    where m.conversation_id = c.conversation_id and m.seq > c.cleared_seq order by m.seq desc limit 1
);

-- One row: what remains of a message that expired. A retry of it is still known, a cursor still finds its
-- place, and the chain still holds; what it said is gone. reports: how many reports about it went with it.
create table expired_messages (
    conversation_id uuid        not null,
    seq             bigint      not null,
    message_id      uuid        not null,
    instance        text        not null,
    user_id         uuid        not null,
    station_id      uuid        not null,
    type            text        not null,
    created_at      timestamptz not null,
    sent_at         timestamptz,
    valid_until     timestamptz not null,
    data_hash       bytea       not null,
    chain           bytea       not null,
    reports         int         not null,
    constraint expired_messages_key primary key (conversation_id, seq),
    constraint expired_messages_one_per_id unique (conversation_id, message_id, instance)
);

-- When the server stored it: whatever the sender's clock said, what arrived a moment ago is kept for a while.
alter table messages add column stored_at timestamptz not null default now();
-- What expired is found by this. Rows come in about its order: it grows at its end.
create index messages_by_end on messages (greatest(valid_until, stored_at));

-- Deleted rows make room for new ones soon, however large the table is.
alter table messages set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);
alter table reports set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000);

-- Every message, whether its text is there or has expired.
create view transcript as
select conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, sent_at, valid_until,
       sha256(convert_to(data, 'UTF8')) as data_hash, chain, 0 as reports_gone
from messages
union all
select conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, sent_at, valid_until,
       data_hash, chain, reports
from expired_messages;
