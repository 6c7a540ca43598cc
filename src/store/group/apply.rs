//! Applies changes to a group that is locked, after the caller's role was checked.

use sqlx::PgConnection;

use super::{Change, Changed, succeed::promote};
use crate::store::{
    admission::{self, People},
    conversation::NewParticipant,
    error::Result,
    invitation,
    quota::{self, QuotaLimits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    text::Instance,
    time::Timestamp,
    word::Role,
};

/// Applies the change. Returns the users who were invited instead of added or, as `Err`, a refusal.
pub(in crate::store) async fn apply(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    change: &Change<'_>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<std::result::Result<Vec<UserId>, Changed>> {
    match change {
        Change::Rename(names) => rename(c, conversation, names).await?,
        Change::Add(people) => return add(c, conversation, caller, people, limits, now).await,
        Change::Remove(users) => {
            admission::remove(c, conversation, users).await?;
            invitation::withdraw(c, conversation, Some(users)).await?;
        }
        Change::Leave => {
            admission::remove(c, conversation, &[caller]).await?;
            invitation::record_departure(c, conversation, caller, false).await?;
            // After the removal, as the user who leaves often is the longest-standing member.
            promote_longest_member(c, conversation).await?;
        }
        Change::Accept => {
            admission::bump_members_version(c, conversation).await?;
            if let Some(refused) = invitation::accept(c, conversation, caller, limits, now).await? {
                return Ok(Err(refused));
            }
            // If all other members are disabled, the new one is the only admin who can act.
            promote(c, conversation).await?;
        }
        Change::SetRole(user, role) => {
            if let Some(outcome) = set_role(c, conversation, *user, *role).await? {
                return Ok(Err(outcome));
            }
        }
    }
    Ok(Ok(vec![]))
}

async fn rename(
    c: &mut PgConnection,
    conversation: ConversationId,
    names: &[(UserId, &str)],
) -> Result<()> {
    // The name in an invitation changes too, but does not notify the invited user.
    sqlx::query!(
        "with named as materialized (
            select user_id, display_name from unnest($2::uuid[], $3::text[]) as n (user_id, display_name)
        ), invited as (
            update invitations i set display_name = n.display_name
            from named n where i.conversation_id = $1 and i.user_id = n.user_id
        )
        update participants p set display_name = n.display_name
        from named n where p.conversation_id = $1 and p.user_id = n.user_id",
        conversation as _,
        &names.iter().map(|(user, _)| *user).collect::<Vec<_>>() as _,
        &names.iter().map(|(_, name)| *name).collect::<Vec<_>>() as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

async fn add(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    people: &[NewParticipant<'_>],
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<std::result::Result<Vec<UserId>, Changed>> {
    let ids: Vec<UserId> = people.iter().map(|one| one.user_id).collect();
    // Refused before anyone's quotas are locked, if possible, so that a refused call blocks nobody.
    if let Some(exceeded) =
        quota::precheck(c, caller, false, Some(conversation), &ids, limits).await?
    {
        return Ok(Err(Changed::Exceeded(exceeded)));
    }
    if admission::would_be_full(c, conversation, &ids, limits).await? {
        return Ok(Err(Changed::Full));
    }
    let existing = quota::lock_existing(c, ids.into_iter().chain([caller])).await?;
    if !existing.contains(&caller) {
        return Ok(Err(Changed::NoUser));
    }
    admission::bump_members_version(c, conversation).await?;
    let people = People {
        asked: people,
        existing: &existing,
    };
    admission::admit(c, conversation, caller, &people, limits, now).await
}

/// Returns the outcome, unless the role was changed.
async fn set_role(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
    role: Role,
) -> Result<Option<Changed>> {
    let before = sqlx::query_scalar!(
        r#"
        with before as materialized (select role from participants where conversation_id = $1 and user_id = $2), changed as (
            update participants set role = $3 where conversation_id = $1 and user_id = $2 and role <> $3
        )
        select role as "role: Role" from before
        "#,
        conversation as _,
        user as _,
        role.as_str(),
    )
    .fetch_optional(&mut *c)
    .await?;
    match before {
        None => return Ok(Some(Changed::NoParticipant)),
        Some(before) if before == role => return Ok(Some(Changed::nothing())),
        Some(_) => {}
    }
    // After the change, as the last admin may have given up their own role. One who is disabled could
    // not act.
    let has_admin = sqlx::query_scalar!(
        r#"select exists (
            select from participants p
            where p.conversation_id = $1 and p.role = 'admin'
                and (select u.disabled_at from users u where u.user_id = p.user_id) is null
        ) as "has!""#,
        conversation as _,
    )
    .fetch_one(&mut *c)
    .await?;
    if !has_admin {
        return Ok(Some(Changed::LastAdmin));
    }
    if role == Role::Admin {
        invitation::withdraw_hidden(&mut *c, conversation).await?;
    }
    // A change of roles has to change the conversation's row, by which lists detect changes.
    admission::bump_members_version(c, conversation).await?;
    Ok(None)
}

/// In a group without an admin who is enabled, promotes the longest-standing member; clears a group
/// without members for good.
async fn promote_longest_member(c: &mut PgConnection, conversation: ConversationId) -> Result<()> {
    if promote(c, conversation).await? {
        return Ok(());
    }
    let next = Instance::random();
    let emptied = sqlx::query!(
        "update conversations
        set instance = $2, cleared_seq = last_seq, last_message_id = null, last_message_seq = 0, last_report_id = null, chain = null
        where conversation_id = $1 and not exists (select from participants where conversation_id = $1)",
        conversation as _,
        next.as_str(),
    )
    .execute(&mut *c)
    .await?;
    if emptied.rows_affected() > 0 {
        // No member is left to vouch for them.
        invitation::withdraw(c, conversation, None).await?;
        sqlx::query!(
            "delete from departures where conversation_id = $1",
            conversation as _
        )
        .execute(c)
        .await?;
    }
    Ok(())
}
