//! Quotas: how many conversations a user takes part in, and how much they do per day. They are
//! counted in the transaction of the action, under a lock on the user's row, so that concurrent
//! requests on all nodes together stay within the limit.

use std::{collections::BTreeSet, time::Duration};

use sqlx::PgConnection;

use super::error::Result;
use parlance_wire::id::{ConversationId, UserId};

/// The operator's limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuotaLimits {
    /// Participants of a group, including invited users.
    pub participants: usize,
    /// Conversations that the caller takes part in.
    pub conversations: u32,
    /// The same limit, of a person for whom an operator set no other one. Others can add users to
    /// nine tenths of their limit; the rest is reserved for what they create or accept.
    pub usual_conversations: u32,
    /// Conversations that a user creates per day.
    pub conversations_per_day: u32,
    /// Friend requests of a user per day.
    pub friend_requests_per_day: u32,
    /// People whom a user invites per day.
    pub invitations_per_day: u32,
    /// Nick changes of a user per day.
    pub nicks_per_day: u32,
    /// Unanswered invitations of a user.
    pub waiting_invitations: u32,
}

/// Actions with a daily limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DailyQuota {
    /// Conversations that the user creates.
    Conversations,
    /// People whom the user invites.
    Invitations,
    /// Changes of the user's nick.
    Nicks,
    FriendRequests,
}

/// The quota that a call would exceed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exceeded {
    /// The caller takes part in this maximum of conversations.
    Total(i64),
    /// The other participant of a direct conversation does.
    TotalOfOther(i64),
    /// The daily limit of this action, which ends after this time.
    Day(DailyQuota, Duration),
}

/// The quota that a call would exceed by adding these people to a group, as far as that is known
/// before any quotas are locked, so that a refused call blocks nobody. The call either creates the
/// group or changes an existing one.
pub(super) async fn precheck(
    c: &mut PgConnection,
    caller: UserId,
    creates: bool,
    conversation: Option<ConversationId>,
    people: &[UserId],
    limits: &QuotaLimits,
) -> Result<Option<Exceeded>> {
    // The clock instead of now(), here and below: a transaction that waited for its locks may have
    // begun yesterday.
    let seen = sqlx::query!(
        r#"
        with today as materialized (select clock_timestamp() at time zone 'UTC' as moment)
        select coalesce(case when q.day = t.moment::date then q.conversations end, 0) as "created_today!",
               coalesce(case when q.day = t.moment::date then q.invitations end, 0) as "invited_today!",
               ceil(extract(epoch from (t.moment::date + 1)::timestamp - t.moment))::bigint as "seconds_left!",
               (select count(*) from (select from participants p where p.user_id = $1 limit $4) taken) as "taken!",
               (select count(*) from unnest($2::uuid[]) as a (user_id)
                -- Looked up one by one, as a join could be planned to compare each with each.
                where (select true from participants p where p.conversation_id = $3 and p.user_id = a.user_id) is null
                    and not are_friends($1, a.user_id)) as "strangers!"
        from today t
        left join quotas q on q.user_id = $1
        "#,
        caller as _,
        people as _,
        conversation as _,
        i64::from(limits.conversations),
    )
    .fetch_one(c)
    .await?;
    let left = Duration::from_secs(seen.seconds_left.unsigned_abs());
    if creates && seen.created_today >= i64::from(limits.conversations_per_day) {
        return Ok(Some(Exceeded::Day(DailyQuota::Conversations, left)));
    }
    if creates && seen.taken >= i64::from(limits.conversations) {
        return Ok(Some(Exceeded::Total(limits.conversations.into())));
    }
    if seen.strangers > 0
        && seen.invited_today + seen.strangers > i64::from(limits.invitations_per_day)
    {
        return Ok(Some(Exceeded::Day(DailyQuota::Invitations, left)));
    }
    Ok(None)
}

/// Locks the quotas of these users until the transaction ends, in the order of their ids, so that
/// two calls cannot deadlock. Returns whether all users exist.
pub(super) async fn lock(
    c: &mut PgConnection,
    users: impl IntoIterator<Item = UserId>,
) -> Result<bool> {
    // Without duplicates, because the number of rows tells whether all users exist.
    let users: BTreeSet<UserId> = users.into_iter().collect();
    let count = users.len();
    Ok(lock_existing(c, users).await?.len() == count)
}

/// Like [`lock`], for users of whom some may not exist. Returns those who do.
pub(super) async fn lock_existing(
    c: &mut PgConnection,
    users: impl IntoIterator<Item = UserId>,
) -> Result<BTreeSet<UserId>> {
    let users: Vec<UserId> = users
        .into_iter()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    // There must be a row to lock. If another transaction is inserting it, this waits for its end.
    sqlx::query!(
        "insert into quotas (user_id) select user_id from users where user_id = any($1) and deleted_at is null order by user_id
        on conflict on constraint quotas_key do nothing",
        &users as _,
    )
    .execute(&mut *c)
    .await?;
    // Checked again: if the insert waited for the user's deletion, its snapshot did not include
    // that.
    let locked = sqlx::query_scalar!(
        r#"select q.user_id as "user_id: UserId" from quotas q where q.user_id = any($1)
        and exists (select from users u where u.user_id = q.user_id and u.deleted_at is null)
        order by q.user_id for update of q"#,
        &users as _
    )
    .fetch_all(c)
    .await?;
    Ok(locked.into_iter().collect())
}

/// The maximum of conversations of a user, whose quotas are locked, if they take part in more.
pub(super) async fn exceeded_total(
    c: &mut PgConnection,
    user: UserId,
    limits: &QuotaLimits,
) -> Result<Option<i64>> {
    // Stops counting beyond the maximum.
    let exceeded = sqlx::query_scalar!(
        r#"
        select a.most as "most!"
        from conversations_allowed($1, $2) as a (most)
        where (select count(*) from (select from participants where user_id = $1 limit a.most + 1) taken) > a.most
        "#,
        user as _,
        i64::from(limits.usual_conversations),
    )
    .fetch_optional(c)
    .await?;
    Ok(exceeded)
}

/// The quota that the creator of a direct conversation, or the other participant, exceeds.
pub(super) async fn exceeded_by_either(
    c: &mut PgConnection,
    creator: UserId,
    other: UserId,
    limits: &QuotaLimits,
) -> Result<Option<Exceeded>> {
    if let Some(most) = exceeded_total(c, creator, limits).await? {
        return Ok(Some(Exceeded::Total(most)));
    }
    Ok(exceeded_total(c, other, limits)
        .await?
        .map(Exceeded::TotalOfOther))
}

/// Charges `count` to a daily quota of a user, whose quotas are locked. Returns the quota if that
/// exceeds it. The day is the database's, so all nodes share it.
pub(super) async fn charge(
    c: &mut PgConnection,
    user: UserId,
    what: DailyQuota,
    count: usize,
    limits: &QuotaLimits,
) -> Result<Option<Exceeded>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let of = |kind: DailyQuota| if kind == what { count } else { 0 };
    // Charged first and compared afterwards; a call that exceeds the quota is rolled back.
    let spent = sqlx::query!(
        r#"
        with today as materialized (select moment, moment::date as day from (select clock_timestamp() at time zone 'UTC' as moment) n)
        update quotas q
        set day = t.day,
            conversations = case when q.day = t.day then q.conversations else 0 end + $2,
            invitations = case when q.day = t.day then q.invitations else 0 end + $3,
            nicks = case when q.day = t.day then q.nicks else 0 end + $4,
            friend_requests = case when q.day = t.day then q.friend_requests else 0 end + $5,
            stations = case when q.day = t.day then q.stations else 0 end
        from today t
        where q.user_id = $1
        returning q.conversations, q.invitations, q.nicks, q.friend_requests,
                  ceil(extract(epoch from (t.day + 1)::timestamp - t.moment))::bigint as "seconds_left!"
        "#,
        user as _,
        of(DailyQuota::Conversations),
        of(DailyQuota::Invitations),
        of(DailyQuota::Nicks),
        of(DailyQuota::FriendRequests),
    )
    .fetch_one(c)
    .await?;
    let left = Duration::from_secs(spent.seconds_left.unsigned_abs());
    let (spent, max) = match what {
        DailyQuota::Conversations => (spent.conversations, limits.conversations_per_day),
        DailyQuota::Invitations => (spent.invitations, limits.invitations_per_day),
        DailyQuota::Nicks => (spent.nicks, limits.nicks_per_day),
        DailyQuota::FriendRequests => (spent.friend_requests, limits.friend_requests_per_day),
    };
    Ok((spent > i64::from(max)).then_some(Exceeded::Day(what, left)))
}
