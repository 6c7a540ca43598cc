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

-- The one row: an era, in which numbers of transactions only grow and every node records what it changes. Marks of lists are of
-- one era. Unlogged on purpose: after a crash, numbers that were never on disk are used again, and then this table is empty.
-- database, postmaster_started_at: where the era began; it is over where they are others, as in a restored copy.
-- complete_from: the number of the transaction from which on list_changes has everything.
create unlogged table list_era (
    is_era                boolean     not null default true constraint list_era_key primary key
                                      constraint list_era_only_one check (is_era),
    era_id                uuid        not null,
    database              oid         not null,
    postmaster_started_at timestamptz not null,
    complete_from         xid8        not null
);
create view present_list_era as
select era_id, complete_from from list_era
where is_era and postmaster_started_at = pg_postmaster_start_time()
    and database = (select d.oid from pg_database d where d.datname = current_database());

-- Nodes of releases before this one do not record what they change.
alter table nodes add column records_changes boolean not null default false;

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

-- A mark, 40 bytes: a check, which only a server can compute, and which is another one for each reader and era; up to which
-- transaction the reader's list has everything, which conversations are in it, and how many changes of nicks there were.
create function list_mark(era_id uuid, reader uuid, since bigint, conversations bigint, nicks bigint) returns bytea
language sql immutable parallel safe
return substr(
    sha256(uuid_send(era_id) || uuid_send(reader) || int8send(since) || int8send(conversations) || int8send(nicks)), 1, 16
) || int8send(since) || int8send(conversations) || int8send(nicks);

-- How many sockets of the user's are open on the node; 0 for a moment after the last one. Nodes of the release before write rows
-- without it.
alter table listeners add column sockets int not null default 1;
