//! The locks of a deletion, and the lock that prevents one.

use sqlx::PgConnection;

use crate::store::error::Result;
use parlance_wire::id::{ConversationId, UserId};

/// Keeps these users from being deleted until the transaction ends. Returns `true` if all of them
/// exist.
///
/// Rows of a user are inserted after this. Their foreign keys would wait for a deletion, too, and
/// then be content with the row that it leaves.
pub(in crate::store) async fn prevent<const N: usize>(
    c: &mut PgConnection,
    users: [UserId; N],
) -> Result<bool> {
    // If this waits for a deletion, PostgreSQL reads the row again and finds it deleted.
    let living = sqlx::query!(
        "select from users where user_id = any($1) and deleted_at is null order by user_id for key share",
        &users as _,
    )
    .fetch_all(c)
    .await?;
    Ok(living.len() == N)
}

/// Keeps a user from being deleted until the transaction ends. Returns `false` if there is no such user;
/// then somebody else is locked, so that this takes the same work.
pub(in crate::store) async fn prevent_or_another(
    c: &mut PgConnection,
    user: UserId,
) -> Result<bool> {
    let locked = sqlx::query_scalar!(
        r#"select user_id as "id: UserId" from users where user_id >= $1 and deleted_at is null
        order by user_id limit 1 for key share"#,
        user as _,
    )
    .fetch_optional(c)
    .await?;
    Ok(locked == Some(user))
}

/// Locks the user's direct conversations, so that no message or report of theirs is stored in them
/// afterwards: those that wait for the lock have to look again.
// Before the quotas, as everywhere else.
pub(super) async fn direct_conversations(
    c: &mut PgConnection,
    user: UserId,
) -> Result<Vec<ConversationId>> {
    Ok(sqlx::query_scalar!(
        r#"
        with locked as materialized (
            select conversation_id from conversations
            where conversation_id = any(array(
                select conversation_id from participants where user_id = $1 and peer_id is not null
            ))
            order by conversation_id
            for no key update
        ), noted as (
            insert into list_changes (changed, conversation_id)
            select pg_current_xact_id(), conversation_id from locked
        )
        update conversations c set roster = roster + 1
        from locked where c.conversation_id = locked.conversation_id
        returning c.conversation_id as "id: ConversationId"
        "#,
        user as _,
    )
    .fetch_all(c)
    .await?)
}

/// Locks the friends whose ids precede the user's, to whom `unfriend` refers. Two friends who are
/// deleted at once would otherwise each lock themselves first, and wait for each other.
pub(super) async fn friends(c: &mut PgConnection, user: UserId) -> Result<Vec<UserId>> {
    Ok(sqlx::query_scalar!(
        r#"
        select user_id as "id: UserId" from users
        where user_id = any(array(
            select f.friend_id from friendships f
            join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
            where f.user_id = $1 and f.friend_id < $1
        ))
        order by user_id
        for key share
        "#,
        user as _,
    )
    .fetch_all(c)
    .await?)
}

/// Returns `true` if these are still all direct conversations of the user, and all friends whose ids
/// precede theirs. More cannot follow, as the user is locked.
pub(super) async fn holds_all(
    c: &mut PgConnection,
    user: UserId,
    conversations: &[ConversationId],
    friends: &[UserId],
) -> Result<bool> {
    Ok(sqlx::query_scalar!(
        r#"
        select not exists (
                   select from participants
                   where user_id = $1 and peer_id is not null and conversation_id <> all($2)
               ) and not exists (
                   select from friendships f
                   join friendships g on g.user_id = f.friend_id and g.friend_id = f.user_id
                   where f.user_id = $1 and f.friend_id < $1 and f.friend_id <> all($3)
               ) as "all!"
        "#,
        user as _,
        conversations as _,
        friends as _,
    )
    .fetch_one(c)
    .await?)
}
