-- Limits of what one user may do, and what of it is used up.

-- One row: what an operator allows a user instead of what the settings say. Null where the settings hold.
create table user_limits (
    user_id           uuid not null constraint user_limits_key primary key constraint user_limits_of_user references users,
    messages          int,
    message_bytes     bigint,
    stored_bytes      bigint,
    conversations     int,
    new_conversations int,
    friend_requests   int,
    lookups           int,
    presence_changes  int,
    new_stations      int
);

-- One row: the bytes that a user's stored messages take. A node adds up usage_changes every minute: whatever stores or deletes
-- messages only appends there, so nobody waits for a user's row.
create table usage (
    user_id uuid   not null constraint usage_key primary key,
    bytes   bigint not null
);
create index usage_by_bytes on usage (bytes);

-- One row: bytes by which one statement changed what each of these users' messages take; negative, if it deleted some.
create table usage_changes (
    user_ids uuid[]   not null,
    bytes    bigint[] not null
);
create view usage_change as
select c.user_id, c.bytes from usage_changes
cross join lateral unnest(user_ids, usage_changes.bytes) c (user_id, bytes);

-- What a message counts for: its content, and about what its row takes beside that.
create function message_bytes(data text) returns bigint language sql immutable parallel safe
return octet_length(data) + 200;

insert into usage (user_id, bytes) select user_id, sum(message_bytes(data)) from messages group by user_id;

-- A program, not a person: nobody logs in with a password.
create function is_service(of_user uuid) returns boolean language sql stable parallel safe
return not exists (select from credentials c where c.user_id = of_user and c.kind = 'password');

-- In how many conversations a user may take part; `usual` is what the settings say of people.
create function conversations_allowed(of_user uuid, usual bigint) returns bigint language sql stable parallel safe
return coalesce(
    (select l.conversations from user_limits l where l.user_id = of_user),
    case when is_service(of_user) then usual * 10 else usual end
);

-- More that a day allows.
alter table quotas
    add column friend_requests bigint not null default 0,
    add column stations bigint not null default 0;

-- Until when a message is kept whose valid_until is farther away than the operator allows.
alter table messages add column keep_until timestamptz;
create index messages_kept_until on messages (keep_until) where keep_until is not null;

-- A block holds against an id, whether or not somebody has it: whoever blocks learns nothing.
alter table blocks drop constraint blocks_against_user;

-- The two of a direct conversation have been friends, and are no longer: neither writes to the other. On both rows.
alter table participants add column is_ended boolean not null default false;
