-- Who is there: nodes, and the users whose sockets they hold.

-- One row: a node that runs. One whose time has passed is gone, with the sockets it held.
create table nodes (
    node_id     uuid        not null constraint nodes_key primary key,
    alive_until timestamptz not null
);

-- One row: a node holds at least one open socket of a user's.
create table listeners (
    user_id uuid not null constraint listeners_of_user references users,
    node_id uuid not null,
    constraint listeners_key primary key (user_id, node_id)
);
create index listeners_by_node on listeners (node_id);

-- Who sees how available a user is: their friends, but for those whom they blocked.
create function friends_who_see(of_user uuid) returns uuid[] language sql stable as $$
    select array(
        select f.friend_id from friendships f
        join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
        where f.user_id = of_user
            and not exists (select from blocks b where b.user_id = of_user and b.blocked_id = f.friend_id)
    )
$$;
