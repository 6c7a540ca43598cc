//! Creating groups.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{Changed, participants};
use crate::store::{
    Db,
    admission::{self, People},
    conversation::NewParticipant,
    epoch::{self, NewEpoch},
    error::Result,
    invitation,
    quota::{self, DailyQuota, Exceeded, QuotaLimits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// Creates a group of its creator, who becomes its admin, and others, who are added or invited.
/// With a first epoch nobody is invited: either all participants of the epoch are added, or nothing
/// is done.
pub(crate) async fn create(
    db: &Db,
    conversation: ConversationId,
    creator: &NewParticipant<'_>,
    others: &[NewParticipant<'_>],
    first: Option<&NewEpoch<'_>>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Changed> {
    db.transaction(async |c| {
        let changed = insert(c, conversation, creator, others, first, limits, now).await?;
        Ok(changed.end())
    })
    .await
}

async fn insert(
    c: &mut PgConnection,
    conversation: ConversationId,
    creator: &NewParticipant<'_>,
    others: &[NewParticipant<'_>],
    first: Option<&NewEpoch<'_>>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Changed> {
    let ids: Vec<UserId> = others.iter().map(|one| one.user_id).collect();
    // Both before anyone is locked: a call that is refused here makes nobody wait.
    if let Some(exceeded) = quota::precheck(c, creator.user_id, true, None, &ids, limits).await? {
        return Ok(Changed::Exceeded(exceeded));
    }
    let all: Vec<UserId> = ids.into_iter().chain([creator.user_id]).collect();
    if admission::would_be_full(c, conversation, &all, limits).await? {
        return Ok(Changed::Full);
    }
    let existing = quota::lock_existing(c, all).await?;
    if !existing.contains(&creator.user_id) {
        return Ok(Changed::NoUser);
    }
    if let Some(exceeded) =
        quota::charge(c, creator.user_id, DailyQuota::Conversations, 1, limits).await?
    {
        return Ok(Changed::Exceeded(exceeded));
    }
    let instance = Instance::random();
    sqlx::query!(
        "with created as (
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            values ($1, true, $2, $3, $3)
            returning conversation_id
        )
        insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
        select conversation_id, $4, $5, $6, 'admin', $3 from created",
        conversation as _,
        instance.as_str(),
        now as _,
        creator.user_id as _,
        creator.secret,
        creator.display_name,
    )
    .execute(&mut *c)
    .await?;
    // After the insert, which waits for a deletion of a group with this id. One that the server chose is new.
    if first.is_some() && was_group(c, conversation).await? {
        return Ok(Changed::FormerGroup);
    }
    // After the insert, which counts too.
    if let Some(most) = quota::exceeded_total(c, creator.user_id, limits).await? {
        return Ok(Changed::Exceeded(Exceeded::Total(most)));
    }
    let invited = match admission::admit(
        c,
        conversation,
        creator.user_id,
        &People {
            asked: others,
            existing: &existing,
        },
        limits,
        now,
    )
    .await?
    {
        Ok(invited) => invited,
        Err(refused) => return Ok(refused),
    };
    let mut recipients = participants(c, conversation).await?;
    if let Some(first) = first {
        if recipients.iter().copied().collect::<BTreeSet<_>>() != *first.members
            || !epoch::is_true_roster(c, first).await?
        {
            return Ok(Changed::StaleRoster(recipients));
        }
        epoch::stage(c, conversation, first).await?;
        epoch::begin(c, conversation, first, now).await?;
    }
    recipients.extend(
        invitation::visible_in(c, conversation)
            .await?
            .into_iter()
            .map(|(user, _)| user),
    );
    Ok(Changed::Done {
        recipients,
        invited,
    })
}

/// Whether a group that was deleted had this id.
async fn was_group(c: &mut PgConnection, conversation: ConversationId) -> Result<bool> {
    let was = sqlx::query_scalar!(
        r#"select exists (select from former_groups where conversation_id = $1) as "was!""#,
        conversation as _,
    );
    Ok(was.fetch_one(c).await?)
}
