//! Quotas: how many conversations a user takes part in, and how many of what they do in a day. They are counted in the
//! transaction that they are about, so they hold on all nodes, whoever asks at the same moment.

use std::{collections::BTreeSet, time::Duration};

use sqlx::PgConnection;

use crate::model::id::UserId;

/// How much of everything there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Participants of a group, and people invited to it, together.
    pub participants: usize,
    /// Conversations that a user takes part in.
    pub conversations: u32,
    /// Conversations that a user creates in a day.
    pub conversations_per_day: u32,
    /// People whom a user invites in a day.
    pub invitations_per_day: u32,
    /// Invitations that wait for one user's answer.
    pub waiting_invitations: u32,
}

/// What a day allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Daily {
    /// Conversations that the user creates.
    Conversations,
    /// People whom the user invites.
    Invitations,
}

/// Why something is not done.
#[derive(Debug, Clone, Copy)]
pub enum Exceeded {
    /// A user takes part in as many conversations as one may.
    Total,
    /// The day allows no more of this, for this long.
    Day(Daily, Duration),
}

/// Locks what is counted of these users until the transaction ends. Whether all of them are there.
pub(super) async fn lock(c: &mut PgConnection, users: impl IntoIterator<Item = UserId>) -> sqlx::Result<bool> {
    let users: Vec<UserId> = users.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    sqlx::query!(
        "insert into quotas (user_id) select user_id from users where user_id = any($1) order by user_id
        on conflict on constraint quotas_key do nothing",
        &users as _,
    )
    .execute(&mut *c)
    .await?;
    let locked = sqlx::query!("select from quotas where user_id = any($1) order by user_id for update", &users as _).fetch_all(c).await?;
    Ok(locked.len() == users.len())
}

/// Whether a user, whose quotas are locked, takes part in more conversations than one may.
pub(super) async fn is_over(c: &mut PgConnection, user: UserId, limits: &Limits) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select count(*) > $2::bigint as "over!" from (select from participants where user_id = $1 limit $2::bigint + 1) taken"#,
        user as _,
        i64::from(limits.conversations),
    )
    .fetch_one(c)
    .await
}

/// Uses up `count` of what the day allows a user, whose quotas are locked. `Some`: it allows less than that, for this long.
/// The day is the database's, which all nodes share.
pub(super) async fn charge(
    c: &mut PgConnection,
    user: UserId,
    what: Daily,
    count: usize,
    limits: &Limits,
) -> sqlx::Result<Option<Exceeded>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let (conversations, invitations) = match what {
        Daily::Conversations => (count, 0),
        Daily::Invitations => (0, count),
    };
    let spent = sqlx::query!(
        r#"
        with today as (select now() at time zone 'UTC' as moment, (now() at time zone 'UTC')::date as day)
        update quotas q
        set day = t.day,
            conversations = case when q.day = t.day then q.conversations else 0 end + $2,
            invitations = case when q.day = t.day then q.invitations else 0 end + $3
        from today t
        where q.user_id = $1
        returning q.conversations, q.invitations,
                  ceil(extract(epoch from (t.day + 1)::timestamp - t.moment))::bigint as "seconds_left!"
        "#,
        user as _,
        conversations,
        invitations,
    )
    .fetch_one(c)
    .await?;
    let left = Duration::from_secs(spent.seconds_left.unsigned_abs());
    let (spent, most) = match what {
        Daily::Conversations => (spent.conversations, limits.conversations_per_day),
        Daily::Invitations => (spent.invitations, limits.invitations_per_day),
    };
    Ok((spent > i64::from(most)).then_some(Exceeded::Day(what, left)))
}
