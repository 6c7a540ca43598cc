-- Keys: which keys each user has, in a log that only grows, and which secrets a conversation had, one after the other.

-- The one row: who this server is, whatever its host is called. seed: of the Ed25519 key (RFC 8032) that signs the head of
-- the key log.
create table server_identity (
    is_identity boolean not null default true constraint server_identity_key primary key
                        constraint server_identity_only_one check (is_identity),
    server_id   uuid    not null default gen_random_uuid(),
    seed        bytea   not null constraint server_identity_seed check (octet_length(seed) = 32)
);
-- Each uuid has 122 bits of the system's random generator: three have more than a seed's 256.
insert into server_identity (seed)
values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

-- One row: a card of a user (docs/e2ee.md), as it was signed, and the signatures over it. prev_signature: by the key of the
-- card before; null where that key was lost, or there is none. log_seq: its entry in key_log.
create table cards (
    user_id        uuid        not null constraint cards_of_user references users,
    n              bigint      not null constraint cards_numbered check (n > 0),
    card           text        not null,
    sign_signature bytea       not null constraint cards_signed check (octet_length(sign_signature) = 64),
    rsa_signature  bytea       not null,
    prev_signature bytea       constraint cards_renewed check (octet_length(prev_signature) = 64),
    log_seq        bigint      not null constraint cards_one_per_entry unique,
    published_at   timestamptz not null,
    constraint cards_key primary key (user_id, n)
);

-- One row: an entry of the key log: a card was published. Rows are only ever added, and stay when the card is gone.
-- seq is dense: the log's size with this entry. entry: SHA-256 of who it is about ‖ the card's number, 8 bytes,
-- big-endian ‖ SHA-256 of the card.
create table key_log (
    seq   bigint not null constraint key_log_key primary key,
    entry bytea  not null constraint key_log_entry check (octet_length(entry) = 72)
);
-- The number of a user's newest card, also when the card is gone.
create index key_log_by_user on key_log (substring(entry for 32), seq);

-- The one row: what the log has grown to. Who adds an entry locks it first. peaks: the roots of the complete subtrees of its
-- Merkle tree, from the largest: what the next root is computed from.
create table key_log_head (
    is_head boolean not null default true constraint key_log_head_key primary key
                    constraint key_log_head_only_one check (is_head),
    size    bigint  not null,
    peaks   bytea[] not null
);
insert into key_log_head (size, peaks) values (0, '{}');

-- The number of the present epoch, which changes under the row's lock; 0: none was announced, and participants.secret is
-- the conversation's only secret.
alter table conversations add column epoch int not null default 0;

-- One row: an epoch of a conversation, as its maker announced and signed it. members: who has its secret. from_seq: the
-- number of the last row before it.
create table epochs (
    conversation_id uuid        not null constraint epochs_of_conversation references conversations,
    epoch           int         not null constraint epochs_numbered check (epoch > 0),
    announcement    text        not null,
    signature       bytea       not null constraint epochs_signed check (octet_length(signature) = 64),
    members         uuid[]      not null,
    from_seq        bigint      not null,
    announced_at    timestamptz not null,
    constraint epochs_key primary key (conversation_id, epoch)
);
-- Hex: compressing hundreds of kilobytes of it takes longer than others may wait for the conversation's lock.
alter table epochs alter column announcement set storage external, alter column members set storage external;

-- One row: an epoch's secret, wrapped for one participant. That of an epoch in which nothing was written is deleted.
-- Without foreign keys: thousands are written at once, and each would be checked.
create table epoch_secrets (
    conversation_id uuid not null,
    epoch           int  not null,
    user_id         uuid not null,
    secret          text not null,
    constraint epoch_secrets_key primary key (conversation_id, epoch, user_id)
);
alter table epoch_secrets alter column secret set storage external;

-- The epoch whose secret an invitation has: if there is another by the time it is accepted, it is of no use.
alter table invitations add column epoch int not null default 0;

-- One row: a user took part in a group once. What they wrote there is still there, and is found by this.
create table former_participants (
    user_id         uuid not null constraint former_participants_of_user references users,
    conversation_id uuid not null constraint former_participants_of_conversation references conversations,
    constraint former_participants_key primary key (user_id, conversation_id)
);
insert into former_participants (user_id, conversation_id)
select distinct m.user_id, m.conversation_id
from messages m
join users using (user_id)
join conversations using (conversation_id)
where not exists (select from participants p where p.conversation_id = m.conversation_id and p.user_id = m.user_id);
