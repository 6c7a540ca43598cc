//! Who gets into a group, by a friend's word or by an invitation, and who is taken out.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{
    conversation::NewParticipant,
    group::Changed,
    invitation,
    quota::{self, Daily, Limits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
};

/// Puts people into a group, or invites them. All their quotas are locked, and the caller's. Answers who is invited, by id:
/// whether an invitation reaches them is theirs to know.
pub(super) async fn admit(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    people: &[NewParticipant<'_>],
    limits: &Limits,
    now: Timestamp,
) -> sqlx::Result<Result<Vec<UserId>, Changed>> {
    let newcomers = newcomers(c, conversation, caller, people, limits).await?;
    if newcomers.iter().any(|one| one.is_friend && one.has_blocked) {
        return Ok(Err(Changed::Blocked));
    }
    let (welcome, asked): (Vec<_>, Vec<_>) = newcomers
        .iter()
        .partition(|one| one.is_friend && !one.needs_consent);
    insert_participants(c, conversation, &only(people, welcome), now).await?;
    let invited: Vec<UserId> = asked.iter().map(|one| one.user_id).collect();
    if !invited.is_empty() {
        if let Some(exceeded) =
            quota::charge(c, caller, Daily::Invitations, invited.len(), limits).await?
        {
            return Ok(Err(Changed::Exceeded(exceeded)));
        }
        let reached = only(
            people,
            asked.into_iter().filter(|one| !one.declined_recently),
        );
        invitation::invite(c, conversation, caller, &reached, limits).await?;
    }
    let is_full = sqlx::query_scalar!(
        r#"select (select count(*) from participants where conversation_id = $1)
                + (select count(*) from invitations where conversation_id = $1) > $2 as "full!""#,
        conversation as _,
        i64::try_from(limits.participants).unwrap_or(i64::MAX),
    )
    .fetch_one(c)
    .await?;
    Ok(if is_full {
        Err(Changed::Full)
    } else {
        Ok(invited)
    })
}

/// One who is to be put in and is not in yet.
struct Newcomer {
    user_id: UserId,
    is_friend: bool,
    /// They blocked the one who adds them.
    has_blocked: bool,
    /// A friend's word is not enough: they left or declined, would meet someone whom they blocked, or have no room for what
    /// others put them into.
    needs_consent: bool,
    declined_recently: bool,
}

/// What is known of these newcomers.
fn only<'a, 'n>(
    people: &'a [NewParticipant<'a>],
    newcomers: impl IntoIterator<Item = &'n Newcomer>,
) -> Vec<&'a NewParticipant<'a>> {
    let ids: BTreeSet<UserId> = newcomers.into_iter().map(|one| one.user_id).collect();
    people
        .iter()
        .filter(|one| ids.contains(&one.user_id))
        .collect()
}

async fn newcomers(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    people: &[NewParticipant<'_>],
    limits: &Limits,
) -> sqlx::Result<Vec<Newcomer>> {
    sqlx::query_as!(
        Newcomer,
        r#"
        with asked as materialized (
            select a.user_id, exists (
                select from friendships f
                join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
                where f.user_id = $2 and f.friend_id = a.user_id
            ) as is_friend
            from unnest($3::uuid[]) as a (user_id)
        ), meets_blocked as materialized (
            -- Whoever is only invited does not count: who is would tell the caller of blocks between others.
            select distinct b.user_id
            from asked a
            join blocks b on b.user_id = a.user_id
            where b.blocked_id in (select user_id from asked where is_friend)
                or exists (select from participants p where p.conversation_id = $1 and p.user_id = b.blocked_id)
        )
        select a.user_id as "user_id!: UserId", a.is_friend as "is_friend!",
               b.user_id is not null as "has_blocked!",
               m.user_id is not null or d.user_id is not null
                   or (select count(*) from (select from participants p where p.user_id = a.user_id limit $4) taken) >= $4
                   as "needs_consent!",
               coalesce(d.declined and d.departed_at > now() - interval '1 day', false) as "declined_recently!"
        from asked a
        left join blocks b on b.user_id = a.user_id and b.blocked_id = $2
        left join meets_blocked m on m.user_id = a.user_id
        left join departures d on d.conversation_id = $1 and d.user_id = a.user_id
        where not exists (select from participants p where p.conversation_id = $1 and p.user_id = a.user_id)
        order by a.user_id
        "#,
        conversation as _,
        caller as _,
        &people.iter().map(|p| p.user_id).collect::<Vec<_>>() as _,
        i64::from(limits.conversations_by_others),
    )
    .fetch_all(c)
    .await
}

async fn insert_participants(
    c: &mut PgConnection,
    conversation: ConversationId,
    people: &[&NewParticipant<'_>],
    now: Timestamp,
) -> sqlx::Result<()> {
    sqlx::query!(
        "with answered as (
            delete from invitations where conversation_id = $1 and user_id = any($3)
        )
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select $1, p.user_id, p.secret, p.display_name, 'member', $2
        from unnest($3::uuid[], $4::text[], $5::text[]) as p (user_id, secret, display_name)",
        conversation as _,
        now as _,
        &people.iter().map(|p| p.user_id).collect::<Vec<_>>() as _,
        &people.iter().map(|p| p.secret).collect::<Vec<_>>() as _,
        &people.iter().map(|p| p.display_name).collect::<Vec<_>>() as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Statements that wait for the lock learn by this that what they saw of the group is old.
pub(super) async fn bump_members_version(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> sqlx::Result<()> {
    sqlx::query!(
        "update conversations set roster = roster + 1 where conversation_id = $1",
        conversation as _
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Takes users out of a conversation.
pub(super) async fn remove(
    c: &mut PgConnection,
    conversation: ConversationId,
    users: &[UserId],
) -> sqlx::Result<()> {
    bump_members_version(&mut *c, conversation).await?;
    sqlx::query!(
        "delete from participants where conversation_id = $1 and user_id = any($2)",
        conversation as _,
        users as _
    )
    .execute(c)
    .await?;
    Ok(())
}
