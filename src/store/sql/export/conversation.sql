-- A conversation that the user $1 takes or took part in, with the user's own data in it.
select json_build_object(
    'id', replace(c.conversation_id::text, '-', ''), 'isgroup', c.is_group, 'instance', c.instance,
    'created', wire_time(c.created_at), 'member', p.user_id is not null, 'role', p.role, 'secret', p.secret,
    'epochsecrets', (
        -- Epoch by epoch, because in the primary key the epoch precedes the user.
        select coalesce(json_agg(json_build_object('epoch', e.epoch, 'secret', s.secret) order by e.epoch), '[]')
        from epochs e join epoch_secrets s using (conversation_id, epoch)
        where e.conversation_id = $2 and s.user_id = $1
    ),
    'displayname', p.display_name, 'joined', wire_time(p.joined_at), 'muted', p.muted_at is not null,
    'favorite', p.favorite_at is not null, 'hidden', p.hidden_at is not null, 'hideid', p.hide_id, 'color', p.color
)::text as "row!"
from conversations c
left join participants p on p.conversation_id = c.conversation_id and p.user_id = $1
where c.conversation_id = $2
