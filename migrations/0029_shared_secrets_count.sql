-- Secrets of epochs that are shared later count in what those who share them have stored.

-- One row: the bytes of an epoch's secrets that a user gave to participants who did not have them, as long as the epoch's
-- secrets are kept for its messages. Without foreign keys, like epoch_secrets.
create table shared_secrets (
    conversation_id uuid   not null,
    epoch           int    not null,
    user_id         uuid   not null,
    bytes           bigint not null,
    constraint shared_secrets_key primary key (conversation_id, epoch, user_id)
);

-- One row: the bytes that a message, an epoch or shared secrets count for. Of a message that expired or was erased the row
-- stays, and goes on to count.
create or replace view stored_bytes as
select user_id, message_bytes(data) as bytes from messages
union all
select user_id, message_bytes('') from expired_messages
union all
select user_id, bytes from epochs where bytes > 0
union all
select user_id, bytes from shared_secrets;
