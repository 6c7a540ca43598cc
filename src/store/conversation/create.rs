//! Creating direct conversations.

use sqlx::PgConnection;

use crate::store::{
    Db,
    db::End,
    epoch::{self, NewEpoch},
    error::Result,
    quota::{self, DailyQuota, Exceeded, QuotaLimits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    text::Instance,
    time::Timestamp,
};

/// A participant who is added to a conversation.
#[derive(Debug)]
pub(crate) struct NewParticipant<'a> {
    pub user_id: UserId,
    /// The conversation's secret, wrapped for them.
    pub secret: &'a str,
    /// Its name, encrypted for them.
    pub display_name: &'a str,
}

/// The outcome of creating a direct conversation.
#[derive(Debug)]
pub(crate) enum Created {
    /// It is new. Exactly one of several concurrent callers gets this.
    New,
    /// It existed already.
    Existing,
    /// One of the two no longer exists.
    NoUser,
    /// The two are no longer friends.
    NotFriends,
    /// The announced roster is not theirs: one of them has another card.
    StaleRoster,
    /// It would exceed a quota.
    Exceeded(Exceeded),
}

/// Creates a direct conversation with its two participants and its first epoch, if it has one, unless the conversation
/// exists. The first participant is charged for it.
pub(crate) async fn create_direct(
    db: &Db,
    conversation: ConversationId,
    participants: &[NewParticipant<'_>; 2],
    first: Option<&NewEpoch<'_>>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Created> {
    db.transaction(async |c| {
        Ok(
            match insert_direct(c, conversation, participants, first, limits, now).await? {
                Created::New => End::Commit(Created::New),
                // Also if it exists: there is nothing to keep, and a commit would wait for the
                // disk.
                refused => End::Rollback(refused),
            },
        )
    })
    .await
}

async fn insert_direct(
    c: &mut PgConnection,
    conversation: ConversationId,
    participants: &[NewParticipant<'_>; 2],
    first: Option<&NewEpoch<'_>>,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Created> {
    let instance = Instance::random();
    let [creator, other] = participants.each_ref().map(|p| p.user_id);
    // Locked before the rows that they count, so that the second of two concurrent creations sees
    // the rows of the first.
    if !quota::lock(c, [creator, other]).await? {
        return Ok(Created::NoUser);
    }
    // Held until the commit: a transaction that ends the friendship meanwhile waits, and then ends
    // this conversation, too. The end deletes both rows, so that one lock is enough.
    let is_mutual = sqlx::query_scalar!(
        r#"select exists (select from friendships where user_id = $2 and friend_id = $1) as "is_mutual!"
        from friendships f where f.user_id = $1 and f.friend_id = $2 for key share of f"#,
        creator as _,
        other as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    if is_mutual != Some(true) {
        return Ok(Created::NotFriends);
    }
    let created = sqlx::query!(
        "with created as (
            insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            values ($1, false, $2, $3, $3)
            on conflict on constraint conversations_key do nothing
            returning conversation_id
        )
        insert into participants (conversation_id, user_id, peer_id, secret, display_name, role, joined_at)
        select created.conversation_id, p.user_id, p.peer_id, p.secret, p.display_name, 'member', $3
        from created, unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[]) as p (user_id, peer_id, secret, display_name)",
        conversation as _,
        instance.as_str(),
        now as _,
        &[creator, other] as _,
        &[other, creator] as _,
        &participants.each_ref().map(|p| p.secret) as _,
        &participants.each_ref().map(|p| p.display_name) as _,
    )
    .execute(&mut *c)
    .await?;
    if created.rows_affected() == 0 {
        return Ok(Created::Existing);
    }
    if let Some(first) = first {
        if !epoch::is_true_roster(c, first).await? {
            return Ok(Created::StaleRoster);
        }
        epoch::stage(c, conversation, first).await?;
        epoch::begin(c, conversation, first, now).await?;
    }
    // After the insert, so that this conversation counts; a refusal rolls it back.
    if let Some(exceeded) = quota::exceeded_by_either(c, creator, other, limits).await? {
        return Ok(Created::Exceeded(exceeded));
    }
    Ok(
        quota::charge(c, creator, DailyQuota::Conversations, 1, limits)
            .await?
            .map_or(Created::New, Created::Exceeded),
    )
}
