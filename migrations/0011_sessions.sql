-- Sessions: what opens a user's login and from where, how their password is made into keys, and what they have read.

-- What a credential is for, and a name for it that can be shown: its hash cannot. used_at: the last login with it.
alter table credentials
    add column credential_id uuid not null default gen_random_uuid() constraint credentials_one_per_id unique,
    add column kind text not null default 'apikey'
        constraint credentials_kind_known check (kind in ('password', 'recovery', 'apikey')),
    add column used_at timestamptz;
-- What registration and `parlance user add` have written up to now. Of several, the newest one is the password's.
update credentials c set kind = 'password'
where label = 'password' and not exists (
    select from credentials o
    where o.user_id = c.user_id and o.label = 'password' and (o.created_at, o.credential_id) > (c.created_at, c.credential_id)
);
create unique index credentials_one_password on credentials (user_id, kind) where kind <> 'apikey';

-- name: what the user calls the station; empty, if nothing. bound_at: since when it is known. credential_id: what it logged in
-- with last, so that a credential that is revoked takes its stations with it. Both null where that was not recorded yet.
alter table stations
    add column name text not null default '',
    add column bound_at timestamptz,
    add column credential_id uuid;

-- kdf: how the user's password is made into keys, as the wire has it (docs/e2ee.md, Vault). vault_version: which version of
-- encrypted_private_key this is; it only grows.
alter table users
    add column kdf text not null default '{"kdf":"pbkdf2-sha256"}',
    add column vault_version int not null default 0;

-- The number of the newest message that a participant has viewed; when they join, of the newest row there is. It only grows.
-- No index on it, so that its update is heap-only.
alter table participants add column viewed_seq bigint not null default 0;
update participants p set viewed_seq = v.seq
from (
    select conversation_id, user_id, max(message_seq) as seq from reports where type = 'viewed' group by conversation_id, user_id
) v
where p.conversation_id = v.conversation_id and p.user_id = v.user_id;

-- last_message_seq: the number of the newest message, 0 where there is none: whoever viewed it has nothing unread. erased: how
-- many messages were erased before they expired; where it is the same, so are the rows that somebody keeps, but for what
-- expired.
alter table conversations
    add column last_message_seq bigint not null default 0,
    add column erased bigint not null default 0;
update conversations c set last_message_seq = coalesce((
    select max(t.seq) from transcript t where t.conversation_id = c.conversation_id and t.seq > c.cleared_seq
), 0);

-- What a line of a list looks like to its reader, as a number: which versions of both rows it was made of (xmin: the
-- transaction that wrote them), how those who take part are called and what they may do, whether the reader has the present
-- epoch's secret, and what is unread. It is compared for equality, and never for order: of what commits at the same moment nothing can be
-- missed.
create function list_version(
    conversation_id uuid, conversation xid, participant xid, names text, roles bigint, has_secret boolean, last_seq bigint, unread bigint
) returns bigint
language sql immutable parallel safe
return hashint8extended(
    conversation::text::bigint,
    hashint8extended(participant::text::bigint, hashtextextended(names, hashint8extended(roles,
        hashint8extended(has_secret::int::bigint, hashint8extended(unread, uuid_hash_extended(conversation_id, last_seq))))))
);
