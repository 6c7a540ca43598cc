-- Where the user's stations are pushed.
select json_build_object(
    'stationid', replace(station_id::text, '-', ''), 'endpoint', endpoint, 'enabled', wire_time(created_at), 'pushed', wire_time(pushed_at)
)::text as "row!"
from push_subscriptions where user_id = $1 order by created_at, station_id
