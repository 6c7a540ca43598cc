-- Stores of files' bytes outside the database: a directory, or a bucket of an S3 service.

-- One row: such a store, as FILE_STORE names it.
create table file_stores (
    store_id int  not null generated always as identity constraint file_stores_key primary key,
    place    text not null constraint file_stores_one_per_place unique
);

-- The one row: where new records go. Null for PostgreSQL.
create table file_store_head (
    is_head  boolean not null default true constraint file_store_head_key primary key
                     constraint file_store_head_only_one check (is_head),
    store_id int     constraint file_store_head_of_store references file_stores
);
insert into file_store_head default values;

-- One row: a piece of bytes in such a store, under object_id. The row is committed before the bytes are written, and deleted
-- after they are: so nothing is ever there that no row tells of.
-- begun: its bytes are being written; if they are not named by records after a while, their writer has ended.
-- stored: records name it. gone: nothing reads it any more, and its bytes are about to be deleted.
create table file_objects (
    object_id uuid        not null constraint file_objects_key primary key,
    store_id  int         not null constraint file_objects_of_store references file_stores,
    file_key  bigint      not null,
    state     text        not null constraint file_objects_state check (state in ('begun', 'stored', 'gone')),
    begun_at  timestamptz not null default clock_timestamp()
);
create index file_objects_of_file on file_objects (file_key);
create index file_objects_begun on file_objects (begun_at) where state = 'begun';
create index file_objects_gone on file_objects (object_id) where state = 'gone';

-- The bytes of a record are in its row, or in an object, in which it is the record of this position, from 0. No foreign key:
-- it would need an index; a record and its object become what they are in one commit.
alter table file_records
    alter column bytes drop not null,
    add column object_id uuid,
    add column position smallint,
    add constraint file_records_in_one_place check (
        (bytes is null) = (object_id is not null) and (object_id is null) = (position is null)
    );

-- Bytes of files that a user may upload an hour.
alter table user_limits add column file_bytes bigint;
