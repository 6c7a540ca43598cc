-- Accounts: who administers the server, who invited whom, who changed what, and what remains of a user who left.

-- role: what the user may do on this server. nick_skeleton: what the nick looks like (Unicode TS 39), so that two that look
-- alike are found; null until a server has computed it. deleted_at: the account is deleted, and what is left of the row is
-- the id, which messages and conversations still name, until someone registers with the same address.
alter table users
    add column role text not null default 'user' constraint users_role_known check (role in ('user', 'admin')),
    add column nick_skeleton text,
    add column deleted_at timestamptz,
    alter column email drop not null,
    add constraint users_have_email check ((email is null) = (deleted_at is not null));
create index users_by_nick_skeleton on users (nick_skeleton);

-- An invitation is known by invite_id to those who list and revoke it. email: only this address may register with it.
-- uses, used: how many people it is for, and how many have registered with it. purpose: `join` makes a user; `first` makes
-- the first one, an admin; `reset` gives the user of this address a new identity.
alter table invites
    add column invite_id uuid not null default gen_random_uuid() constraint invites_one_per_id unique,
    add column inviter_id uuid constraint invites_of_inviter references users,
    add column email text,
    add column uses int not null default 1 constraint invites_for_someone check (uses > 0),
    add column used int not null default 0,
    add column purpose text not null default 'join'
                       constraint invites_purpose_known check (purpose in ('join', 'first', 'reset')),
    add column revoked_at timestamptz,
    add constraint invites_not_used_too_often check (used between 0 and uses),
    add constraint invites_reset_of_address check (purpose <> 'reset' or email is not null);
create index invites_by_inviter on invites (inviter_id);

-- A moment as the wire writes it.
create function wire_time(moment timestamptz) returns text language sql stable parallel safe
return to_char(moment at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS');

-- One row: a user has registered with an invitation.
create table invite_uses (
    invite_id uuid        not null constraint invite_uses_of_invite references invites (invite_id) on delete cascade,
    user_id   uuid        not null constraint invite_uses_by_user references users,
    used_at   timestamptz not null,
    constraint invite_uses_key primary key (invite_id, user_id)
);
insert into invite_uses (invite_id, user_id, used_at) select invite_id, used_by, used_at from invites where used_by is not null;
update invites set used = 1 where used_by is not null;
alter table invites drop column used_by, drop column used_at;

-- One row: an administrative change (docs/operating.md). entry is a JSON object, hashed as it stands:
-- chain = SHA-256(chain of the line before ‖ seq, 8 bytes, big-endian ‖ SHA-256(entry)). Rows are only ever added.
create table audit_log (
    seq   bigint not null constraint audit_log_key primary key,
    entry text   not null,
    chain bytea  not null constraint audit_log_sha256 check (octet_length(chain) = 32)
);

-- The one row: the newest line of the audit log. Who adds a line locks it first.
create table audit_head (
    is_head boolean not null default true constraint audit_head_key primary key
                    constraint audit_head_only_one check (is_head),
    seq     bigint  not null,
    chain   bytea   not null constraint audit_head_sha256 check (octet_length(chain) = 32)
);
insert into audit_head (seq, chain) values (0, sha256(convert_to('parlance audit 1', 'UTF8')));

-- One row: a friend of user_id has deleted their account. The list of friends says so until user_id removes them.
create table left_friends (
    user_id   uuid        not null constraint left_friends_of_user references users,
    friend_id uuid        not null constraint left_friends_who_left references users,
    nick      text        not null,
    left_at   timestamptz not null,
    constraint left_friends_key primary key (user_id, friend_id)
);

-- One row: a user took part in a group once. What they wrote there is still there, and is found by this. (The migration
-- before this one may have made the same table, for the same purpose.)
create table if not exists former_participants (
    user_id         uuid not null constraint former_participants_of_user references users,
    conversation_id uuid not null constraint former_participants_of_conversation references conversations,
    constraint former_participants_key primary key (user_id, conversation_id)
);
insert into former_participants (user_id, conversation_id)
select distinct m.user_id, m.conversation_id
from messages m
join users using (user_id)
join conversations using (conversation_id)
where not exists (select from participants p where p.conversation_id = m.conversation_id and p.user_id = m.user_id)
on conflict on constraint former_participants_key do nothing;

-- What a user has used up of the changes of their nick that the day allows.
alter table quotas add column nicks bigint not null default 0;

-- One row: an account was deleted at this moment, and the content of messages that it stored until then is not all erased yet.
create table erasures (
    user_id    uuid        not null constraint erasures_of_user references users,
    deleted_at timestamptz not null,
    constraint erasures_key primary key (user_id, deleted_at)
);
