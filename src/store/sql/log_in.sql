-- Binds a station ($3) with the name $6 to the account that a key ($1) opens, and returns the
-- account. Returns nothing if the key belongs to another user than the claimed one ($2), or if the
-- user is disabled. Binds nothing if the station is new, and the user has had as many new ones today
-- as a person ($7) or a service ($8) may.
with account as materialized (
    select u.*, c.credential_id, c.kind, c.used_at, (clock_timestamp() at time zone 'UTC')::date as today,
           (select true from stations s where s.user_id = u.user_id and s.station_id = $3) is not null as is_known
    from credentials c
    join users u using (user_id)
    where c.key_hash = $1 and u.disabled_at is null and ($2::uuid is null or u.user_id = $2)
), spent as (
    -- Judged by the row as locked, so that of many logins at the same moment not one is too many.
    insert into quotas as q (user_id, day, stations)
    select user_id, today, 1 from account where not is_known
    on conflict on constraint quotas_key do update
    set day = excluded.day,
        stations = case when q.day = excluded.day then q.stations else 0 end + 1,
        conversations = case when q.day = excluded.day then q.conversations else 0 end,
        invitations = case when q.day = excluded.day then q.invitations else 0 end,
        nicks = case when q.day = excluded.day then q.nicks else 0 end,
        friend_requests = case when q.day = excluded.day then q.friend_requests else 0 end
    where q.day <> excluded.day or q.stations < coalesce(
        (select l.new_stations from user_limits l where l.user_id = q.user_id),
        case when is_service(q.user_id) then $8::int else $7::int end
    )
    returning user_id
), present as materialized (
    -- The quota, the user and the credential are locked in this order, as when an account is deleted.
    select u.user_id from users u
    where u.user_id = (select user_id from account where is_known or user_id in (select user_id from spent))
        and u.deleted_at is null
    for key share of u
), opened as materialized (
    -- Locked, so that it is not revoked meanwhile: a deleted credential must not leave a station
    -- behind.
    select c.user_id from credentials c
    where c.key_hash = $1 and c.user_id = (select user_id from present)
    for key share of c
), admitted as materialized (
    select * from account where user_id in (select user_id from opened)
), used as (
    -- At most once an hour, like a station's last_seen_at.
    update credentials c set used_at = $5
    from admitted a
    where c.key_hash = $1 and (a.used_at is null or a.used_at < $5::timestamptz - interval '1 hour')
), bound as (
    -- A client that sends no name leaves the station's name unchanged.
    insert into stations (user_id, station_id, last_seen_at, bound_at, credential_id, name)
    select user_id, $3, $5, $5, credential_id, coalesce($6, '') from admitted
    on conflict on constraint stations_key do update
    set last_seen_at = excluded.last_seen_at, credential_id = excluded.credential_id, name = coalesce($6, stations.name)
), forgotten as (
    -- `offset $4 - 1`: this station also stays, and is not among the others.
    delete from stations s
    using admitted a
    where s.user_id = a.user_id and s.station_id in (
        select o.station_id from stations o
        where o.user_id = a.user_id and o.station_id <> $3
        order by o.last_seen_at desc
        offset $4 - 1
    )
    returning s.user_id
), noticed as (
    -- `Notice::Stations`, by which every node closes the sockets of those that were forgotten.
    select pg_notify('user_changed', 'stations ' || user_id) from forgotten limit 1
)
select user_id as "user_id: UserId", full_name, nick, encrypted_private_key, role as "role: UserRole",
       vault_version, kind as "kind: CredentialKind",
       -- True if there were other stations, and this one is new.
       not is_known and exists (select from stations s where s.user_id = account.user_id) as "is_new_station!",
       user_id in (select user_id from admitted) as "is_admitted!",
       ceil(extract(epoch from (today + 1)::timestamp - clock_timestamp() at time zone 'UTC'))::bigint as "seconds_left!"
from account
-- Evaluated only because it is joined.
left join noticed on true
-- Nothing of an account or a credential that has gone meanwhile.
where user_id in (select user_id from admitted) or not is_known and user_id not in (select user_id from spent)
