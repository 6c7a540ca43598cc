-- Bytes that all files of a user may count.
alter table user_limits add column file_quota bigint;

-- Who has no files any more has no row.
delete from file_usage where bytes = 0;

-- Groups that nobody takes part in are deleted. One row: the id of one. Nobody can use it again: a creator may choose a group's id,
-- and the clients of those who took part would take another group for the one that they knew.
create table former_groups (
    conversation_id uuid not null constraint former_groups_key primary key
);
create index former_participants_by_conversation on former_participants (conversation_id);
