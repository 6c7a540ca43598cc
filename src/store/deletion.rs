//! Deletes accounts: the address is free again, keys and names are gone, and groups are left. The id
//! remains, as others' conversations refer to it. (The content of messages: `erasure.rs`.)

mod lock;

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor},
    db::End,
    error::{Result, impossible},
    group::{self, Change, Changed},
    list,
    notice::{self, Notice},
    quota::{self, QuotaLimits},
};
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
};

pub(super) use lock::{prevent, prevent_or_another};

/// Maximum attempts because the user was added to a group, or made a friend, meanwhile.
const MAX_ROUNDS: usize = 100;
/// Leaving a group is not limited.
const NO_LIMITS: QuotaLimits = QuotaLimits {
    participants: 0,
    conversations: 0,
    usual_conversations: 0,
    conversations_per_day: 0,
    friend_requests_per_day: 0,
    invitations_per_day: 0,
    nicks_per_day: 0,
    waiting_invitations: 0,
};

/// The outcome of the last step of a deletion.
enum Step {
    Done,
    NoUser,
    /// The user was added to a group, or has a friend or a conversation that was not locked.
    Again,
}

/// Deletes an account, and notifies the users concerned. `by` is the operator for the audit log, or
/// `None` if the user does it. Returns whether there was such a user.
///
/// Groups are left one by one, each in a transaction of its own. If that is interrupted, call it
/// again.
pub async fn delete(db: &Db, user: UserId, by: Option<&Actor>, now: Timestamp) -> Result<bool> {
    if !exists(db, user).await? {
        return Ok(false);
    }
    for _ in 0..MAX_ROUNDS {
        for conversation in groups_of(db, user).await? {
            leave(db, conversation, user, now).await?;
        }
        let step = db
            .transaction(async |c| {
                Ok(match delete_in(c, user, by, now).await? {
                    Step::Done => End::Commit(Step::Done),
                    other => End::Rollback(other),
                })
            })
            .await?;
        match step {
            Step::Done => return Ok(true),
            Step::NoUser => return Ok(false),
            Step::Again => {}
        }
    }
    Err(impossible("a user joins groups faster than they are left"))
}

/// Returns `true` if there is such a user.
pub(crate) async fn exists(db: &Db, user: UserId) -> Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (select from users where user_id = $1 and deleted_at is null) as "exists!""#,
            user as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

async fn groups_of(db: &Db, user: UserId) -> Result<Vec<ConversationId>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select conversation_id as "id: ConversationId" from participants
            where user_id = $1 and peer_id is null order by conversation_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

async fn leave(db: &Db, conversation: ConversationId, user: UserId, now: Timestamp) -> Result<()> {
    db.transaction(async |c| {
        let changed =
            group::change_in(c, conversation, user, &Change::Leave, &NO_LIMITS, now).await?;
        if let Changed::Done { recipients, .. } = &changed {
            notice::send(c, recipients.iter().copied().map(Notice::List)).await?;
        }
        match changed {
            Changed::Done { .. } => Ok(End::Commit(())),
            // Somebody removed the user meanwhile.
            Changed::NoConversation => Ok(End::Rollback(())),
            other => Err(impossible(&format!("a user who cannot leave: {other:?}"))),
        }
    })
    .await
}

async fn delete_in(
    c: &mut PgConnection,
    user: UserId,
    by: Option<&Actor>,
    now: Timestamp,
) -> Result<Step> {
    let conversations = lock::direct_conversations(c, user).await?;
    // Everyone who adds the user to something locks this row first, and then finds the user gone.
    if !quota::lock(c, [user]).await? {
        return Ok(Step::NoUser);
    }
    let friends = lock::friends(c, user).await?;
    let row = sqlx::query!(
        r#"select u.email as "email!", u.nick, exists (
                select from participants p where p.user_id = u.user_id and p.peer_id is null
            ) as "in_group!"
        from users u where u.user_id = $1 and u.deleted_at is null for update"#,
        user as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else {
        return Ok(Step::NoUser);
    };
    // Both were read before the locks: the user may have joined, or been befriended, in between.
    if row.in_group || !lock::holds_all(c, user, &conversations, &friends).await? {
        return Ok(Step::Again);
    }
    let mut notices = vec![Notice::User(user)];
    notices.extend(unfriend(c, user, &row.nick, now).await?);
    notices.extend(withdraw_invitations(c, user).await?);
    notices.extend(blank_direct_conversations(c, user).await?);
    sqlx::query_file!("src/store/sql/delete_account.sql", user as _, row.email)
        .execute(&mut *c)
        .await?;
    sqlx::query!(
        "update users
        set email = null, full_name = '', nick = '', nick_skeleton = '', public_key = '', encrypted_private_key = '',
            role = 'user', availability = 'offline', chosen_availability = default, disabled_at = null, deleted_at = $2, kdf = default, vault_version = 0
        where user_id = $1",
        user as _,
        now as _,
    )
    .execute(&mut *c)
    .await?;
    list::renamed(&mut *c, user).await?;
    // The database's clock, like `stored_at`; but not `now()`, which is when this transaction began:
    // a message that got its conversation's lock before this did is to be erased, too.
    sqlx::query!(
        "insert into erasures (user_id, deleted_at) values ($1, clock_timestamp())",
        user as _
    )
    .execute(&mut *c)
    .await?;
    if let Some(by) = by {
        let details = [("email", row.email)];
        audit::append(c, by, audit::Change::UserDelete, &user, details, now).await?;
    }
    notice::send(c, notices).await?;
    Ok(Step::Done)
}

/// Ends friendships and requests. Friends keep the nick of the user who leaves.
async fn unfriend(
    c: &mut PgConnection,
    user: UserId,
    nick: &str,
    now: Timestamp,
) -> sqlx::Result<Vec<Notice>> {
    let others = sqlx::query_scalar!(
        r#"
        with remembered as (
            insert into left_friends (user_id, friend_id, nick, left_at)
            select f.friend_id, f.user_id, $2, $3 from friendships f
            join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
            where f.user_id = $1
            on conflict on constraint left_friends_key do update set nick = excluded.nick, left_at = excluded.left_at
        )
        delete from friendships where user_id = $1 or friend_id = $1
        returning case when user_id = $1 then friend_id else user_id end as "other!: UserId"
        "#,
        user as _,
        nick,
        now as _,
    )
    .fetch_all(c)
    .await?;
    Ok(others
        .into_iter()
        .map(|seen_by| Notice::Friend {
            friend: user,
            seen_by,
        })
        .collect())
}

/// Deletes the user's invitations to groups, and those that the user sent.
async fn withdraw_invitations(c: &mut PgConnection, user: UserId) -> sqlx::Result<Vec<Notice>> {
    let invited = sqlx::query_scalar!(
        r#"delete from invitations where user_id = $1 or inviter_id = $1 returning user_id as "user_id: UserId""#,
        user as _,
    )
    .fetch_all(c)
    .await?;
    Ok(invited
        .into_iter()
        .filter(|invited| *invited != user)
        .map(Notice::List)
        .collect())
}

/// Blanks the user's rows of direct conversations, which stay for the other participant; and ends
/// the conversations, because a later account with the same address has the same id, but none of
/// the friends.
async fn blank_direct_conversations(
    c: &mut PgConnection,
    user: UserId,
) -> sqlx::Result<Vec<Notice>> {
    sqlx::query!(
        "update participants set is_ended = true
        where not is_ended and conversation_id = any(array(
            select conversation_id from participants where user_id = $1 and peer_id is not null
        ))",
        user as _,
    )
    .execute(&mut *c)
    .await?;
    let peers = sqlx::query_scalar!(
        r#"
        update participants
        set secret = '', display_name = '', muted_at = null, favorite_at = null, hidden_at = null, hide_id = '',
            color = '#ffffff'
        where user_id = $1
        returning peer_id as "peer!: UserId"
        "#,
        user as _,
    )
    .fetch_all(c)
    .await?;
    Ok(peers.into_iter().map(Notice::List).collect())
}
