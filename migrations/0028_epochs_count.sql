-- Epochs count in what their makers have stored, as messages do for their senders.

-- user_id: who began the epoch; null for those from before this. bytes: what it counts for them: the announcement, and the
-- secrets that it began with, as long as these are kept for its messages.
alter table epochs add column user_id uuid, add column bytes bigint not null default 0;

-- One row: the bytes that a message or an epoch counts for. Of a message that expired or was erased the row stays, and goes on to
-- count.
create or replace view stored_bytes as
select user_id, message_bytes(data) as bytes from messages
union all
select user_id, message_bytes('') from expired_messages
union all
select user_id, bytes from epochs where bytes > 0;
