-- The cards of the user's keys, as they were signed.
select json_build_object(
    'n', n, 'card', card, 'sign', encode(sign_signature, 'base64'), 'rsa', encode(rsa_signature, 'base64'),
    'prev', encode(prev_signature, 'base64'), 'published', wire_time(published_at)
)::text as "row!"
from cards where user_id = $1 order by n
