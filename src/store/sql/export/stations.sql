-- The stations that the user has logged in from.
select json_build_object(
    'stationid', replace(station_id::text, '-', ''), 'name', name, 'created', wire_time(bound_at), 'lastseen', wire_time(last_seen_at)
)::text as "row!"
from stations where user_id = $1 order by last_seen_at desc, station_id
