-- Stations whose credential is gone. They should have been ended with it.
select count(*) as "count!", min(format('station %s of user %s', station_id, user_id)) as example
from stations s
where s.credential_id is not null
    and not exists (select from credentials c where c.user_id = s.user_id and c.credential_id = s.credential_id)
