//! Users' names.

use super::{
    Db,
    db::End,
    error::Result,
    list,
    notice::{self, Notice},
    quota::{self, DailyQuota, Exceeded, QuotaLimits},
};
use parlance_wire::{
    id::UserId,
    text::{FullName, Nick},
};

/// A user's present names.
#[derive(Debug)]
pub(crate) struct Profile {
    /// Their full name.
    pub full_name: String,
    /// The name that others see.
    pub nick: String,
}

/// The outcome of changing names.
#[derive(Debug)]
pub(crate) enum Changed {
    Done(Profile),
    NoUser,
    /// It would exceed the daily quota.
    Exceeded(Exceeded),
}

/// Changes the given names. A new nick is announced to everyone who sees it: friends, and users who
/// share a conversation.
pub(crate) async fn change(
    db: &Db,
    user: UserId,
    full_name: Option<&FullName>,
    nick: Option<&Nick>,
    limits: &QuotaLimits,
) -> Result<Changed> {
    db.transaction(async |c| {
        // The quotas first: a deletion locks them before the user's row, too.
        if !quota::lock(c, [user]).await? {
            return Ok(End::Rollback(Changed::NoUser));
        }
        let before = sqlx::query_scalar!(
            "select nick from users where user_id = $1 and deleted_at is null for no key update",
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(before) = before else {
            return Ok(End::Rollback(Changed::NoUser));
        };
        let profile = sqlx::query_as!(
            Profile,
            "update users
            set full_name = coalesce($2, full_name), nick = coalesce($3, nick), nick_skeleton = coalesce($4, nick_skeleton)
            where user_id = $1 returning full_name, nick",
            user as _,
            full_name.map(FullName::as_str),
            nick.map(Nick::as_str),
            nick.map(Nick::skeleton),
        )
        .fetch_one(&mut *c)
        .await?;
        // A repeated request is neither charged nor announced.
        if profile.nick != before {
            if let Some(exceeded) = quota::charge(c, user, DailyQuota::Nicks, 1, limits).await? {
                return Ok(End::Rollback(Changed::Exceeded(exceeded)));
            }
            list::renamed(&mut *c, user).await?;
            let seen_by = sqlx::query!(
                r#"
                select o.user_id as "user_id!: UserId", bool_or(o.is_friend) as "is_friend!" from (
                    select user_id, true as is_friend from friendships where friend_id = $1
                    union all
                    select q.user_id, false from participants p
                    join participants q using (conversation_id)
                    where p.user_id = $1
                ) o
                where not exists (select from blocks b where b.user_id = o.user_id and b.blocked_id = $1)
                group by o.user_id
                "#,
                user as _,
            )
            .fetch_all(&mut *c)
            .await?;
            let notices = seen_by.into_iter().map(|row| {
                if row.is_friend {
                    Notice::Friend {
                        friend: user,
                        seen_by: row.user_id,
                    }
                } else {
                    Notice::List(row.user_id)
                }
            });
            notice::send(c, [Notice::Names].into_iter().chain(notices)).await?;
        }
        Ok(End::Commit(Changed::Done(profile)))
    })
    .await
}
