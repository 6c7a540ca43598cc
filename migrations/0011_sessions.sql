-- Sessions: what opens a user's login and from where, how their password is stretched, and what they have read.

-- What a credential is for, and a name for it that can be shown: its hash cannot. used_at: the last login with it.
alter table credentials
    add column credential_id uuid not null default gen_random_uuid() constraint credentials_one_per_id unique,
    add column kind text not null default 'apikey'
        constraint credentials_kind_known check (kind in ('password', 'recovery', 'apikey')),
    add column used_at timestamptz;
-- What registration and `parlance user add` have written up to now.
update credentials set kind = 'password' where label = 'password';

-- Since when a station is known, and the credential that it logged in with last; null where that was before this was
-- recorded. A credential that is revoked takes its stations with it.
alter table stations
    add column bound_at timestamptz,
    add column credential_id uuid;

-- What nodes are told when stations of a user are ended, or their keys change: ids as the wire has them.
create function station_payload(of_user uuid, ended uuid[]) returns text language sql stable
return replace(of_user::text || ':' || coalesce(array_to_string(ended, ','), ''), '-', '');

-- How a user's password is stretched: argon2id with this salt (base64), memory (KiB), passes and lanes; all null where it is
-- as published. vault_version: which version of encrypted_private_key this is; it only grows.
alter table users
    add column kdf_salt text,
    add column kdf_m int,
    add column kdf_t int,
    add column kdf_p int,
    add column vault_version int not null default 0,
    add constraint users_kdf_whole check (num_nulls(kdf_salt, kdf_m, kdf_t, kdf_p) in (0, 4));

-- One row: what the salts of addresses without a user are made with, so that nobody can tell them from others'.
create table prelogin_secret (
    only_row boolean not null default true constraint prelogin_secret_key primary key constraint prelogin_secret_only_row check (only_row),
    secret   bytea   not null constraint prelogin_secret_length check (octet_length(secret) = 32)
);
-- Of 244 random bits: a random UUID has 122.
insert into prelogin_secret (secret) values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- The number of the newest message that a participant has viewed; when they join, of the newest row there is. It only grows.
-- No index on it, so that its update is heap-only.
alter table participants add column viewed_seq bigint not null default 0;
update participants p set viewed_seq = coalesce((
    select max(r.message_seq) from reports r
    where r.conversation_id = p.conversation_id and r.user_id = p.user_id and r.type = 'viewed'
), 0);

-- The number of the newest message, 0 where there is none: what was viewed up to it has nothing unread after it.
alter table conversations add column last_message_seq bigint not null default 0;
update conversations c set last_message_seq = coalesce((
    select max(t.seq) from transcript t where t.conversation_id = c.conversation_id and t.seq > c.cleared_seq
), 0);

-- How many messages were erased: where it is the same, so are the rows that somebody keeps, but for what expired.
alter table conversations add column erased bigint not null default 0;

-- What a line of a list looks like to its reader, as a number: which versions of both rows it was made of (xmin: the
-- transaction that wrote them), and what is unread. So no column can be forgotten, and whatever changes a row changes this. It
-- is compared for equality, and never for order: of what commits at the same moment nothing can be missed.
create function list_version(conversation_id uuid, conversation xid, participant xid, last_seq bigint, unread bigint) returns bigint
language sql immutable parallel safe
return hashint8extended(
    conversation::text::bigint,
    hashint8extended(participant::text::bigint, hashint8extended(unread, uuid_hash_extended(conversation_id, last_seq)))
);
