//! Adding users to a group, directly by a friend or by an invitation, and removing them.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{
    conversation::NewParticipant,
    error::Result,
    group::Changed,
    invitation, list,
    quota::{self, DailyQuota, QuotaLimits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
};

/// People to be added to a group.
pub(super) struct People<'a> {
    pub asked: &'a [NewParticipant<'a>],
    /// The people among them who are users, and whose quotas are locked.
    pub existing: &'a BTreeSet<UserId>,
}

/// Adds people to a group, or invites them. The caller has locked the quotas of all of them, and
/// their own. Returns the ids of the invited users, including those who get no invitation, because
/// they declined recently or do not exist, or do not see it, because they have blocked the inviter,
/// who must not learn of any of that.
pub(super) async fn admit(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    people: &People<'_>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<std::result::Result<Vec<UserId>, Changed>> {
    let newcomers = newcomers(c, conversation, caller, people.asked, limits).await?;
    let (added, invited): (Vec<_>, Vec<_>) = newcomers
        .iter()
        .partition(|one| one.is_friend && !one.has_blocked && !one.needs_consent);
    let added = only(people.asked, added);
    insert_participants(c, conversation, caller, &added, now).await?;
    let invited_ids: Vec<UserId> = invited.iter().map(|one| one.user_id).collect();
    if !invited_ids.is_empty() {
        // Includes users who get no invitation, as otherwise the quota would reveal who they are.
        if let Some(exceeded) = quota::charge(
            c,
            caller,
            DailyQuota::Invitations,
            invited_ids.len(),
            limits,
        )
        .await?
        {
            return Ok(Err(Changed::Exceeded(exceeded)));
        }
        let reached = only(
            people.asked,
            invited
                .into_iter()
                .filter(|one| !one.declined_recently && people.existing.contains(&one.user_id)),
        );
        invitation::invite(c, conversation, caller, &reached, limits).await?;
    }
    // Exact, because it is after the writes: `would_be_full` runs before anyone is locked, and has
    // to guess who gets an invitation.
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
        Ok(invited_ids)
    })
}

/// A user to be added who is not in the group yet.
struct Newcomer {
    user_id: UserId,
    is_friend: bool,
    /// Whether they blocked the caller.
    has_blocked: bool,
    /// Whether even a friend has to invite them: they left or declined, would meet someone whom
    /// they blocked, or are in as many conversations as others may add them to.
    needs_consent: bool,
    declined_recently: bool,
}

/// The entries of `people` for these newcomers.
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
    limits: &QuotaLimits,
) -> Result<Vec<Newcomer>> {
    let newcomers = sqlx::query_file_as!(
        Newcomer,
        "src/store/sql/newcomers.sql",
        conversation as _,
        caller as _,
        &people.iter().map(|p| p.user_id).collect::<Vec<_>>() as _,
        i64::from(limits.usual_conversations),
    )
    .fetch_all(c)
    .await?;
    Ok(newcomers)
}

/// Returns `true` when the group would have too many participants, as far as that is known before any quotas are
/// locked.
pub(super) async fn would_be_full(
    c: &mut PgConnection,
    conversation: ConversationId,
    people: &[UserId],
    limits: &QuotaLimits,
) -> Result<bool> {
    let full = sqlx::query_file_scalar!(
        "src/store/sql/would_be_full.sql",
        conversation as _,
        people as _,
        i64::try_from(limits.participants).unwrap_or(i64::MAX),
    )
    .fetch_one(c)
    .await?;
    Ok(full)
}

async fn insert_participants(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
    people: &[&NewParticipant<'_>],
    now: Timestamp,
) -> Result<()> {
    // A participant must not have an invitation as well; joining answers it. The secret is that of
    // the present epoch, and counts like one that is shared later.
    sqlx::query!(
        "with answered as (
            delete from invitations where conversation_id = $1 and user_id = any($3)
        ), keyed as (
            insert into epoch_secrets (conversation_id, epoch, user_id, secret)
            select $1, c.epoch, p.user_id, p.secret
            from conversations c, unnest($3::uuid[], $4::text[]) as p (user_id, secret)
            where c.conversation_id = $1 and c.epoch > 0
            on conflict on constraint epoch_secrets_key do nothing
            returning epoch, octet_length(secret) as bytes
        ), shared as (
            insert into shared_secrets as s (conversation_id, epoch, user_id, bytes)
            select $1, epoch, $6, sum(bytes) from keyed group by epoch
            on conflict on constraint shared_secrets_key do update set bytes = s.bytes + excluded.bytes
        ), counted as (
            insert into usage_changes (user_ids, bytes)
            select array[$6::uuid], array[sum(bytes)::bigint] from keyed having count(*) > 0
        )
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at, viewed_seq)
        select $1, p.user_id, p.secret, p.display_name, 'member', $2,
               (select c.last_seq from conversations c where c.conversation_id = $1)
        from unnest($3::uuid[], $4::text[], $5::text[]) as p (user_id, secret, display_name)",
        conversation as _,
        now as _,
        &people.iter().map(|p| p.user_id).collect::<Vec<_>>() as _,
        &people.iter().map(|p| p.secret).collect::<Vec<_>>() as _,
        &people.iter().map(|p| p.display_name).collect::<Vec<_>>() as _,
        caller as _,
    )
    .execute(c)
    .await?;
    Ok(())
}

/// Marks the group's members as changed. Statements that wait for the lock compare this number in
/// their snapshot with the one under the lock, and are retried if it differs.
pub(super) async fn bump_members_version(
    c: &mut PgConnection,
    conversation: ConversationId,
) -> Result<()> {
    // The column keeps its old name, `roster`: in a rolling upgrade, nodes of the previous release go
    // on using it after a newer node has migrated.
    sqlx::query!(
        "update conversations set roster = roster + 1 where conversation_id = $1",
        conversation as _
    )
    .execute(&mut *c)
    .await?;
    list::changed(c, conversation).await?;
    Ok(())
}

/// Removes users from a group, and remembers that they were in it.
pub(super) async fn remove(
    c: &mut PgConnection,
    conversation: ConversationId,
    users: &[UserId],
) -> Result<()> {
    bump_members_version(&mut *c, conversation).await?;
    sqlx::query!(
        "with removed as (
            delete from participants where conversation_id = $1 and user_id = any($2) returning user_id
        ), forgotten as (
            delete from epoch_secrets
            where conversation_id = $1 and user_id = any($2)
                and epoch = any(array(select e.epoch from epochs e where e.conversation_id = $1))
        )
        insert into former_participants (user_id, conversation_id) select user_id, $1 from removed
        on conflict on constraint former_participants_key do nothing",
        conversation as _,
        users as _
    )
    .execute(c)
    .await?;
    Ok(())
}
