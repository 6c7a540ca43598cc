-- Files: encrypted by clients, and stored in records of 262,144 bytes. A file belongs to a conversation and, once a message has it,
-- to that message, with which it ends.

-- What a file counts in its uploader's quota: an empty one takes room, too.
create function file_cost(size bigint) returns bigint language sql immutable parallel safe
return greatest(size, 4096);

-- One row: a file, or an upload. Its uploader's client chooses file_id, and two users may choose the same: so no refusal tells which
-- ids others have. digest: the SHA-256 over those of its records; with it, the file is complete, can be read, and does not change.
-- message_seq: the message that has it; until then it is deleted after a day, or at valid_until.
-- Rows of an earlier instance of the conversation are unreachable, like its messages, and deleted in the background.
create table files (
    file_key        bigint      not null generated always as identity constraint files_key primary key,
    file_id         uuid        not null,
    user_id         uuid        not null constraint files_of_user references users,
    conversation_id uuid        not null,
    instance        text        not null,
    size            bigint      not null constraint files_not_empty check (size > 0),
    valid_until     timestamptz,
    created_at      timestamptz not null,
    digest          bytea       constraint files_sha256 check (octet_length(digest) = 32),
    message_seq     bigint,
    constraint files_one_per_id unique (file_id, user_id),
    constraint files_complete_in_message check (message_seq is null or digest is not null)
);
create index files_by_message on files (conversation_id, message_seq);
create index files_untied on files (created_at) where message_seq is null;
create index files_by_user on files (user_id, file_key);

-- One row: a record of a file, as a client encrypted it, and its SHA-256. Rows outlive their file until they are deleted in the
-- background (gone_files).
create table file_records (
    file_key bigint not null,
    record   int    not null,
    hash     bytea  not null constraint file_records_sha256 check (octet_length(hash) = 32),
    bytes    bytea  not null,
    constraint file_records_key primary key (file_key, record)
);
-- Ciphertext: compressing it gains nothing.
alter table file_records alter column bytes set storage external;
-- Deleted rows make room for new ones soon, however large the table is.
alter table file_records set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

-- One row: a file that was deleted, and whose records are about to be. It counts in its uploader's quota until then.
create table gone_files (
    file_key bigint not null constraint gone_files_key primary key,
    user_id  uuid   not null,
    size     bigint not null
);

-- One row: what all files of a user count, those in gone_files included. It outlives the account, as files of others'
-- conversations do for a moment.
create table file_usage (
    user_id uuid   not null constraint file_usage_key primary key constraint file_usage_of_user references users,
    bytes   bigint not null constraint file_usage_not_negative check (bytes >= 0)
);

-- The files that a user may see, reader_id: of the conversations that they take part in, as those are now; but not of a direct
-- conversation in which the other one has blocked them.
create view visible_files as
select f.file_key, f.file_id, f.user_id, f.size, f.digest, p.user_id as reader_id, c.is_group and p.role = 'admin' as is_admin
from files f
join conversations c on c.conversation_id = f.conversation_id and c.instance = f.instance
join participants p on p.conversation_id = f.conversation_id
where not exists (select from blocks b where b.user_id = p.peer_id and b.blocked_id = p.user_id);
