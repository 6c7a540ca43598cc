//! Friendships: two users are friends when each has requested the other; a single request waits for
//! an answer.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use super::{
    Db,
    db::End,
    deletion,
    error::{Result, impossible},
    list,
    quota::{self, DailyQuota, Exceeded, QuotaLimits},
};
use crate::store::rows::{FriendRow, RequestRow};
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
    word::{Availability, ChosenAvailability},
};

/// A user's friends, by id. A friend who blocked the reader shows as `offline`. Nicks are compared
/// with others for similarity only if `compare_nicks` is set.
pub(crate) async fn friends_of(
    db: &Db,
    reader: UserId,
    compare_nicks: bool,
) -> Result<Vec<FriendRow>> {
    db.run(async |c| {
        // A friend who blocked the reader is shown as offline instead of left out, as a block must
        // not show.
        sqlx::query_as!(
            FriendRow,
            r#"
            select u.user_id as "user_id: UserId", u.nick, u.public_key, $2 and exists (
                       select from users o
                       where o.nick_skeleton = u.nick_skeleton and o.user_id <> u.user_id and o.deleted_at is null
                   ) as "is_alike!",
                   case when b.user_id is null then u.availability else 'offline' end as "availability!: Availability"
            from friendships f
            join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
            join users u on u.user_id = f.friend_id
            left join blocks b on b.user_id = f.friend_id and b.blocked_id = f.user_id
            where f.user_id = $1
            order by u.user_id
            "#,
            reader as _,
            compare_nicks,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Maximum requests that a user is shown: those of strangers must not become a list of any length.
const MAX_REQUESTS: i64 = 1000;

/// The users whose requests wait for a user's answer, the oldest first. Of very many, the newest ones.
pub(crate) async fn requests_to(db: &Db, reader: UserId) -> Result<Vec<RequestRow>> {
    db.run(async |c| {
            sqlx::query_as!(
                RequestRow,
                r#"
                select f.user_id as "user_id: UserId", u.nick, exists (
                           select from users o
                           where o.nick_skeleton = u.nick_skeleton and o.user_id <> u.user_id and o.deleted_at is null
                       ) as "is_alike!"
                from friendships f
                join users u using (user_id)
                where f.friend_id = $1
                    -- The limit is on the requests, so that nicks are compared for these alone.
                    and f.user_id = any(array(
                        select w.user_id from friendships w
                        where w.friend_id = $1
                            -- Looked up one by one: a join of thousands of both would compare each with each.
                            and (select true from friendships g where g.user_id = $1 and g.friend_id = w.user_id) is null
                            and (select true from blocks b where b.user_id = $1 and b.blocked_id = w.user_id) is null
                        order by w.requested_at desc, w.user_id limit $2
                    ))
                order by f.requested_at, f.user_id
                "#,
                reader as _,
                MAX_REQUESTS,
            )
            .fetch_all(c)
            .await
        })
        .await
}

/// The friends of a user who have deleted their accounts, with their id and the nick that they had; and
/// what the user chose to be shown as. A new account of the same address that is a friend again is not
/// among the former.
pub(crate) async fn left_and_chosen(
    db: &Db,
    reader: UserId,
) -> Result<(Vec<(UserId, String)>, ChosenAvailability)> {
    let rows = db
        .run(async |c| {
            sqlx::query!(
                r#"
                select u.chosen_availability as "chosen: ChosenAvailability", l.friend_id as "friend_id?: UserId", l.nick as "nick?"
                from users u
                left join left_friends l on l.user_id = u.user_id
                    and not exists (select from friendships f where f.user_id = $1 and f.friend_id = l.friend_id)
                where u.user_id = $1
                order by l.left_at, l.friend_id
                "#,
                reader as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    // The row of a user stays, also when the account is deleted.
    let chosen = rows
        .first()
        .ok_or_else(|| impossible("no user for a signed request"))?
        .chosen;
    let left = rows
        .into_iter()
        .filter_map(|row| row.friend_id.zip(row.nick));
    Ok((left.collect(), chosen))
}

/// Removes a friend who has left from the list. Returns whether there was one.
pub(crate) async fn forget_left(db: &Db, user: UserId, friend: UserId) -> Result<bool> {
    let deleted = db
        .run(async |c| {
            sqlx::query!(
                "delete from left_friends where user_id = $1 and friend_id = $2
                    and not exists (select from friendships f where f.user_id = $1 and f.friend_id = $2)",
                user as _,
                friend as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// The requests and blocks between two users.
#[derive(Debug)]
pub(crate) struct Relation {
    /// The second is a user.
    pub exists: bool,
    /// The first has requested the second.
    pub outgoing: bool,
    /// The second has requested the first.
    pub incoming: bool,
    /// The second has blocked the first.
    pub blocked: bool,
}

impl Relation {
    /// Returns `true` if both have requested the other.
    pub(crate) fn is_friendship(&self) -> bool {
        self.outgoing && self.incoming
    }
}

/// The relation between `user` and `other`, who need not exist.
pub(crate) async fn relation(db: &Db, user: UserId, other: UserId) -> Result<Relation> {
    db.run(async |c| {
        sqlx::query_as!(
            Relation,
            r#"
            select exists (select from users where user_id = $2 and deleted_at is null) as "exists!",
                   exists (select from friendships where user_id = $1 and friend_id = $2) as "outgoing!",
                   exists (select from friendships where user_id = $2 and friend_id = $1) as "incoming!",
                   exists (select from blocks where user_id = $2 and blocked_id = $1) as "blocked!"
            "#,
            user as _,
            other as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// The users among these whom the caller can only invite to a group, because they are not friends
/// and do not take part yet. Empty if the caller may not add anyone to that group.
pub(crate) async fn strangers(
    db: &Db,
    caller: UserId,
    conversation: Option<ConversationId>,
    users: &[UserId],
) -> Result<BTreeSet<UserId>> {
    let strangers = db
        .run(async |c| {
            sqlx::query_scalar!(
                r#"
                select a.user_id as "user_id!: UserId" from unnest($3::uuid[]) as a (user_id)
                -- Looked up one by one: a join would be planned by the row counts of that time.
                where not are_friends($1, a.user_id)
                    and (select true from participants p where p.conversation_id = $2 and p.user_id = a.user_id) is null
                    and ($2::uuid is null or exists (
                        select from participants p where p.conversation_id = $2 and p.user_id = $1 and p.role = 'admin'
                    ))
                "#,
                caller as _,
                conversation as _,
                users as _,
            )
            .fetch_all(c)
            .await
        })
        .await?;
    Ok(strangers.into_iter().collect())
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Requested {
    /// It is stored.
    New,
    /// It was stored before, or cannot reach the other user.
    Nothing,
    /// The user does not exist any more.
    NoUser,
    /// The user has requested too many today.
    Exceeded(Exceeded),
}

/// Stores the request of `user` to `friend`, if it `reaches` them, and charges it to the user's day.
///
/// If it does not, or there is no such friend, it is stored where nobody reads it, with the same work:
/// neither the quota nor the time reveals users who never get a request.
pub(crate) async fn request(
    db: &Db,
    user: UserId,
    friend: UserId,
    reaches: bool,
    limits: &QuotaLimits,
    now: Timestamp,
) -> Result<Requested> {
    db.transaction(async |c| {
        lock_direct(c, user, friend).await?;
        if !quota::lock(c, [user]).await? {
            return Ok(End::Rollback(Requested::NoUser));
        }
        if let Some(exceeded) =
            quota::charge(c, user, DailyQuota::FriendRequests, 1, limits).await?
        {
            return Ok(End::Rollback(Requested::Exceeded(exceeded)));
        }
        Ok(End::Commit(insert(c, user, friend, reaches, now).await?))
    })
    .await
}

/// Stores the answer of `user` to the request of `friend`: they are friends.
pub(crate) async fn answer(
    db: &Db,
    user: UserId,
    friend: UserId,
    now: Timestamp,
) -> Result<Requested> {
    db.transaction(async |c| {
        lock_direct(c, user, friend).await?;
        Ok(End::Commit(insert(c, user, friend, true, now).await?))
    })
    .await
}

/// Locks the direct conversation of two users, if they have one, before anything else, as
/// everywhere: of two who request each other at the same moment the second one then sees both
/// requests.
async fn lock_direct(c: &mut PgConnection, user: UserId, friend: UserId) -> Result<()> {
    sqlx::query!(
        "select from conversations where conversation_id = $1 for no key update",
        ConversationId::between(user, friend) as _,
    )
    .fetch_optional(c)
    .await?;
    Ok(())
}

async fn insert(
    c: &mut PgConnection,
    user: UserId,
    friend: UserId,
    reaches: bool,
    now: Timestamp,
) -> Result<Requested> {
    if !deletion::prevent(c, [user]).await? {
        return Ok(Requested::NoUser);
    }
    let is_there = deletion::prevent_or_another(c, friend).await?;
    // Each writes a row of their own: two users who request each other at the same moment are
    // friends, whatever the order of the commits.
    let is_new = sqlx::query_scalar!(
        r#"
        with heard as (
            insert into friendships (user_id, friend_id, requested_at) select $1, $2, $3 where $4::bool
            on conflict on constraint friendships_key do nothing
            returning user_id
        ), unheard as (
            insert into unheard_requests (user_id, friend_id, requested_at) select $1, $2, $3 where not $4
            on conflict on constraint unheard_requests_key do nothing
        )
        select exists (select from heard) as "new!"
        "#,
        user as _,
        friend as _,
        now as _,
        reaches && is_there,
    )
    .fetch_one(&mut *c)
    .await?;
    set_ended(c, user, friend, false).await?;
    Ok(if is_new {
        Requested::New
    } else {
        Requested::Nothing
    })
}

/// Ends or resumes the direct conversation of two users, if they have one and are friends or not.
async fn set_ended(
    c: &mut PgConnection,
    user: UserId,
    friend: UserId,
    is_ended: bool,
) -> Result<()> {
    let conversation = ConversationId::between(user, friend);
    let changed = sqlx::query!(
        "update participants set is_ended = $4
        where conversation_id = $1 and is_ended <> $4 and are_friends($2, $3) <> $4",
        conversation as _,
        user as _,
        friend as _,
        is_ended,
    )
    .execute(&mut *c)
    .await?;
    if changed.rows_affected() > 0 {
        list::changed(c, conversation).await?;
    }
    Ok(())
}

/// Ends a friendship, or a request in either direction. Returns whether there was one. Whether there was
/// one, or it only seemed so to the user, makes no difference to the work.
pub(crate) async fn withdraw(db: &Db, user: UserId, friend: UserId) -> Result<bool> {
    db.transaction(async |c| {
        lock_direct(c, user, friend).await?;
        // Both rows, as one that is left over would be a new request by the other user.
        let deleted = sqlx::query_scalar!(
            r#"
            with heard as (
                delete from friendships
                where (user_id = $1 and friend_id = $2) or (user_id = $2 and friend_id = $1)
                returning user_id
            ), unheard as (
                delete from unheard_requests where user_id = $1 and friend_id = $2
            )
            -- This is written to the log, so that the commit waits for the disk also if nothing was deleted.
            select (select count(*) from heard) as "count!" from pg_logical_emit_message(true, 'parlance', '') written
            "#,
            user as _,
            friend as _,
        )
        .fetch_one(&mut *c)
        .await?;
        // One row was a request, and a conversation that has ended stays so.
        if deleted > 1 {
            set_ended(c, user, friend, true).await?;
        }
        Ok(End::Commit(deleted > 0))
    })
    .await
}
