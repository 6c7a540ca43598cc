-- A user without a socket goes offline when they have not called for a while.

-- When a user called last, as far as it matters: recorded for those who are not offline and have no socket, every minute or so.
alter table users add column called_at timestamptz not null default now();
create index users_by_call on users (called_at) where availability <> 'offline';
