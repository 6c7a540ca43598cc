-- Lists: what has changed in a user's list of conversations is found without reading all of it; and how many sockets are open.

-- A line of a list has changed since a transaction if that, or a later one, wrote the conversation's row or the reader's row of
-- participants (xmin), renamed somebody in it (users.renamed), or moved messages that the reader had not viewed to
-- expired_messages. So whatever else a line shows has to write one of the two rows.
drop function list_version;

-- One row: this transaction wrote this row of conversations, or moved messages of it to expired_messages. Whoever does so adds one.
-- Not a truth but a shortcut: without it all of a reader's conversations are looked at. It is unlogged, as nothing is lost with it.
create unlogged table list_changes (
    changed         xid8 not null,
    conversation_id uuid not null
);
create index list_changes_by_transaction on list_changes (changed);

-- The one row: the number of the transaction from which on list_changes has everything. If it is missing, list_changes is of no use.
create unlogged table list_changes_begin (
    is_begin boolean not null default true constraint list_changes_begin_key primary key
                     constraint list_changes_begin_only_one check (is_begin),
    complete_from xid8 not null
);

-- One row: a server began to use the database. Numbers of transactions are of one database, and go back where an older state of it is
-- restored: from then on the database has other eras than what was written meanwhile. cluster: which PostgreSQL that is, on
-- which timeline, and which of its databases. began: the number of the transaction that wrote this.
create table list_eras (
    n       bigint generated always as identity constraint list_eras_key primary key,
    era_id  uuid   not null default gen_random_uuid() constraint list_eras_one_per_id unique,
    cluster bigint not null,
    began   bigint not null
);

-- The one row: how many changes of nicks there were. Who changes one locks it first, so that their order is that of commits.
create table nick_changes (
    is_count boolean not null default true constraint nick_changes_key primary key
                     constraint nick_changes_only_one check (is_count),
    n        bigint  not null
);
insert into nick_changes (n) values (0);

-- The number of the newest change of the user's nick; 0: there was none since this is counted.
alter table users add column renamed bigint not null default 0;
create index users_by_renaming on users (renamed) where renamed > 0;

-- How many sockets of the user's are open on the node; 0 for a moment after the last one. Nodes of the release before write rows
-- without it.
alter table listeners add column sockets int not null default 1;
