-- Consent: who takes part in a group said so, by being the friend of an admin who adds them, or by accepting an invitation.

-- One row: a user who may take part in a group by saying yes. secret and display_name are what their row in participants
-- begins with then. Never beside such a row.
create table invitations (
    conversation_id uuid        not null constraint invitations_of_conversation references conversations,
    user_id         uuid        not null constraint invitations_of_user references users,
    inviter_id      uuid        not null constraint invitations_by_inviter references users,
    secret          text        not null,
    display_name    text        not null,
    invited_at      timestamptz not null,
    constraint invitations_key primary key (conversation_id, user_id)
);
create index invitations_by_user on invitations (user_id, conversation_id);

-- One row: a user who left a group, or declined to take part in it, and takes part (again) by their own yes alone.
create table departures (
    conversation_id uuid        not null constraint departures_of_conversation references conversations,
    user_id         uuid        not null constraint departures_of_user references users,
    departed_at     timestamptz not null,
    declined        boolean     not null,
    constraint departures_key primary key (conversation_id, user_id)
);

-- One row: what a user has used up of what the day (UTC) allows. Whatever gives users more conversations or invitations
-- locks their rows first, in the order of their ids: so what it counts is what it changes.
create table quotas (
    user_id       uuid   not null constraint quotas_key primary key constraint quotas_of_user references users,
    day           date   not null default '-infinity',
    conversations bigint not null default 0,
    invitations   bigint not null default 0
);

-- Friends are those who both said so.
create function are_friends(one uuid, other uuid) returns boolean language sql stable parallel safe
return exists (select from friendships f where f.user_id = one and f.friend_id = other)
    and exists (select from friendships g where g.user_id = other and g.friend_id = one);

-- The invitations that are shown to whom they are for: none by someone whom they blocked, and none to a group that someone
-- whom they blocked is an admin of.
create view visible_invitations as
select i.* from invitations i
where not exists (
    select from blocks b
    where b.user_id = i.user_id
        and (b.blocked_id = i.inviter_id or exists (
            select from participants p
            where p.conversation_id = i.conversation_id and p.user_id = b.blocked_id and p.role = 'admin'
        ))
);
