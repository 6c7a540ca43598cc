-- Conversations: who takes part, and what was written and reported.
-- Every key begins with conversation_id: one conversation's rows are neighbours on disk, and one
-- shard's if these tables are ever distributed.

-- One row: a conversation of two (its id is the MD5 of both user ids) or of a group.
-- instance is one life of its content; `clear` begins the next one, and rows with a seq up to
-- cleared_seq belong to earlier lives: unreachable, and deleted in the background. purged_seq says
-- how far that has come.
-- last_seq numbers messages and reports together. It is taken under this row's lock, in the
-- transaction that stores the rows: so seq is dense, and its order is the order of commits.
-- Each message updates this row. Free space and the absence of an index on what changes keep that
-- update heap-only.
create table conversations (
    conversation_id uuid        not null constraint conversations_key primary key,
    is_group        boolean     not null,
    instance        text        not null
                                constraint conversations_instance_form check (instance ~ '^[A-Za-z0-9]{10}$'),
    last_seq        bigint      not null default 0,
    cleared_seq     bigint      not null default 0,
    purged_seq      bigint      not null default 0,
    last_message_id uuid,
    last_report_id  uuid,
    last_access_at  timestamptz not null,
    created_at      timestamptz not null,
    constraint conversations_cleared_before_last check (cleared_seq between 0 and last_seq),
    constraint conversations_purged_before_cleared check (purged_seq between 0 and cleared_seq)
) with (fillfactor = 60);
-- The conversations that have something to purge: few, and found without reading the others.
create index conversations_to_purge on conversations (conversation_id) where purged_seq < cleared_seq;

-- One row: one user in one conversation, the key they read it with, and how they arranged it in
-- their list. A time that is null means: not.
create table participants (
    conversation_id uuid        not null constraint participants_of_conversation references conversations,
    user_id         uuid        not null constraint participants_of_user references users,
    secret          text        not null,
    display_name    text        not null,
    role            text        not null constraint participants_role_known check (role in ('admin', 'member')),
    muted_at        timestamptz,
    favorite_at     timestamptz,
    hidden_at       timestamptz,
    hide_id         text        not null default '',
    color           text        not null default '#ffffff',
    joined_at       timestamptz not null,
    constraint participants_key primary key (conversation_id, user_id)
) with (fillfactor = 90);
create index participants_by_user on participants (user_id, conversation_id);

-- One row: one message, exactly once. sent_at is the sender's Created where it lay too far ahead
-- and created_at was set to the server's time instead; a retry is recognised by what was sent.
-- data is base64 of ciphertext: the server cannot read it, and compressing it gains nothing.
create table messages (
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
    data            text        not null,
    constraint messages_key primary key (conversation_id, seq),
    constraint messages_one_per_id unique (conversation_id, message_id, instance)
);
alter table messages alter column data set storage external;

-- One row: one user has had (delivered) or seen (viewed) one message. message_seq names the
-- message's row for good, where its id may come again after a `clear`.
create table reports (
    conversation_id uuid        not null,
    seq             bigint      not null,
    report_id       uuid        not null,
    message_seq     bigint      not null,
    message_id      uuid        not null,
    user_id         uuid        not null,
    station_id      uuid        not null,
    type            text        not null constraint reports_type_known check (type in ('delivered', 'viewed')),
    created_at      timestamptz not null,
    valid_until     timestamptz not null,
    constraint reports_key primary key (conversation_id, seq),
    constraint reports_one_per_message unique (conversation_id, message_seq, user_id, type),
    constraint reports_one_per_id unique (conversation_id, report_id)
);
