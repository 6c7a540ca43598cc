-- The host names that the user has registered.
select json_build_object('workspacename', name, 'registered', wire_time(registered_at))::text as "row!"
from workspaces where user_id = $1 order by name
