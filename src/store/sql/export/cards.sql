-- The cards of the user's keys, as they were signed.
select json_build_object(
    'n', n, 'card', card, 'sign', replace(encode(sign_signature, 'base64'), chr(10), ''),
    'rsa', replace(encode(rsa_signature, 'base64'), chr(10), ''),
    'prev', replace(encode(prev_signature, 'base64'), chr(10), ''), 'published', wire_time(published_at)
)::text as "row!"
from cards where user_id = $1 order by n
