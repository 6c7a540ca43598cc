-- People: who may come in, from which stations, and who knows whom.
-- 128-bit ids are uuid columns here and 32 hex digits on the wire.

-- One row: a person or a service that can log in.
-- user_id is the MD5 of the e-mail address, trimmed and lower-cased, as the published API defines it.
-- The server never holds the password nor the private key: encrypted_private_key is opaque text.
create table users (
    user_id               uuid        not null constraint users_key primary key,
    email                 text        not null constraint users_one_per_email unique,
    full_name             text        not null,
    nick                  text        not null,
    public_key            text        not null,
    encrypted_private_key text        not null,
    availability          text        not null default 'offline'
                                      constraint users_availability_known
                                      check (availability in ('available', 'away', 'busy', 'offline')),
    created_at            timestamptz not null,
    disabled_at           timestamptz
);

-- One row: one key that opens one user's login. Only the SHA-256 of the apikey is kept.
create table credentials (
    key_hash   bytea       not null constraint credentials_key primary key
                           constraint credentials_sha256 check (octet_length(key_hash) = 32),
    user_id    uuid        not null constraint credentials_of_user references users,
    label      text        not null,
    created_at timestamptz not null
);
create index credentials_by_user on credentials (user_id);

-- One row: a station (device) from which a user has logged in. Two users may share a device.
create table stations (
    user_id      uuid        not null constraint stations_of_user references users,
    station_id   uuid        not null,
    last_seen_at timestamptz not null,
    constraint stations_key primary key (user_id, station_id)
);
-- Unsigned notification polling, where it is allowed, knows the station alone.
create index stations_by_station on stations (station_id);

-- One row: user_id has said that friend_id is a friend. Two are friends when both rows are there;
-- a row without its mirror image is a request that waits. So two who ask each other at the same
-- moment are friends, whatever the order of their commits.
create table friendships (
    user_id      uuid        not null constraint friendships_of_user references users,
    friend_id    uuid        not null constraint friendships_with_user references users,
    requested_at timestamptz not null,
    constraint friendships_key primary key (user_id, friend_id),
    constraint friendships_not_with_oneself check (user_id <> friend_id)
);
create index friendships_by_friend on friendships (friend_id);

-- One row: user_id does not want to hear from blocked_id.
create table blocks (
    user_id    uuid        not null constraint blocks_of_user references users,
    blocked_id uuid        not null constraint blocks_against_user references users,
    blocked_at timestamptz not null,
    constraint blocks_key primary key (user_id, blocked_id),
    constraint blocks_not_oneself check (user_id <> blocked_id)
);

-- One row: an invitation with which one person may register. Only the SHA-256 of its code is kept.
create table invites (
    code_hash  bytea       not null constraint invites_key primary key
                           constraint invites_sha256 check (octet_length(code_hash) = 32),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_by    uuid        constraint invites_used_by_user references users,
    used_at    timestamptz,
    constraint invites_used_by_someone check ((used_by is null) = (used_at is null))
);

-- One row: a host name that a user has registered as their workspace.
create table workspaces (
    name          text        not null constraint workspaces_key primary key,
    user_id       uuid        not null constraint workspaces_of_user references users,
    registered_at timestamptz not null
);
create index workspaces_by_user on workspaces (user_id);
