-- Stations that logged in with a key that is gone: with it, they were to be ended.
select count(*) as "count!", min(format('station %s of user %s', station_id, user_id)) as example
from stations s
where s.credential_id is not null
    and not exists (select from credentials c where c.user_id = s.user_id and c.credential_id = s.credential_id)
