-- Requests that reach nobody take as much work as those that do.

-- One row: user_id asked friend_id to be a friend, who is not there, or has blocked them. It has the keys, the index and as
-- many foreign keys as a row of friendships, so that the time of the answer does not tell the two apart.
create table unheard_requests (
    user_id      uuid        not null constraint unheard_requests_of_user references users,
    friend_id    uuid        not null,
    requested_at timestamptz not null,
    constraint unheard_requests_key primary key (user_id, friend_id),
    constraint unheard_requests_of_user_too foreign key (user_id) references users
);
create index unheard_requests_by_friend on unheard_requests (friend_id);
