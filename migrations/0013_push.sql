-- Web Push: where a station is woken when something is new and it has no socket open.

-- One row: a station that is pushed; it goes with the station. node_id: the node that holds the station's socket, as far as it is
-- known; null, if none does. pushed_at: when it was pushed, if it has not shown since that it woke up. held_back_at: when
-- something was new and not pushed, because the station had a socket: if that socket turns out to be dead, it is made up for.
-- All times of this table are the database's.
create table push_subscriptions (
    user_id      uuid        not null,
    station_id   uuid        not null,
    endpoint     text        not null constraint push_subscriptions_endpoint_size check (octet_length(endpoint) <= 1024),
    created_at   timestamptz not null,
    node_id      uuid,
    pushed_at    timestamptz,
    held_back_at timestamptz,
    constraint push_subscriptions_key primary key (user_id, station_id),
    constraint push_subscriptions_of_station foreign key (user_id, station_id) references stations on delete cascade
) with (fillfactor = 80);
