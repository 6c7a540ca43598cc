-- Binds a station ($3) with the name $6 to the account that a key ($1) opens, and returns the
-- account. Returns nothing if the key belongs to another user than the claimed one ($2), or if the
-- user is disabled.
with account as materialized (
    -- Locked, so that it is not revoked meanwhile: a deleted credential must not leave a station
    -- behind.
    select u.*, c.credential_id, c.kind, c.used_at from credentials c
    join users u using (user_id)
    where c.key_hash = $1 and u.disabled_at is null and ($2::uuid is null or u.user_id = $2)
    for key share of c
), used as (
    -- At most once an hour, like a station's last_seen_at.
    update credentials c set used_at = $5
    from account a
    where c.key_hash = $1 and (a.used_at is null or a.used_at < $5::timestamptz - interval '1 hour')
), bound as (
    -- A client that sends no name leaves the station's name unchanged.
    insert into stations (user_id, station_id, last_seen_at, bound_at, credential_id, name)
    select user_id, $3, $5, $5, credential_id, coalesce($6, '') from account
    on conflict on constraint stations_key do update
    set last_seen_at = excluded.last_seen_at, credential_id = excluded.credential_id, name = coalesce($6, stations.name)
), forgotten as (
    -- `offset $4 - 1`: this station also stays, and is not among the others.
    delete from stations s
    using account a
    where s.user_id = a.user_id and s.station_id in (
        select o.station_id from stations o
        where o.user_id = a.user_id and o.station_id <> $3
        order by o.last_seen_at desc
        offset $4 - 1
    )
)
select user_id as "user_id: UserId", full_name, nick, encrypted_private_key, role, vault_version, kind,
       -- True if there were other stations, and this one is new.
       exists (select from stations s where s.user_id = account.user_id)
           and not exists (select from stations s where s.user_id = account.user_id and s.station_id = $3) as "is_new_station!"
from account
