//! Appoints the longest-standing enabled member as an admin when no admin of a group can act.

use sqlx::PgConnection;

use super::participants;
use crate::store::{
    Db, admission,
    db::End,
    error::Result,
    invitation,
    notice::{self, Notice},
};
use parlance_wire::id::{ConversationId, UserId};

/// Gives an admin to each group of a user that has no enabled one, and notifies its members. To be
/// called after the user was disabled or enabled.
///
/// Each group has a transaction of its own. If that is interrupted, call it again.
pub(in crate::store) async fn succeed(db: &Db, user: UserId) -> Result<()> {
    for conversation in without_admin(db, user).await? {
        db.transaction(async |c| {
            // `promote` checks again under this lock: somebody may have appointed an admin
            // meanwhile.
            sqlx::query!(
                "select from conversations where conversation_id = $1 for no key update",
                conversation as _,
            )
            .fetch_optional(&mut *c)
            .await?;
            if !promote(c, conversation).await? {
                return Ok(End::Rollback(()));
            }
            admission::bump_members_version(c, conversation).await?;
            let members = participants(c, conversation).await?;
            notice::send(c, members.into_iter().map(Notice::List)).await?;
            Ok(End::Commit(()))
        })
        .await?;
    }
    Ok(())
}

/// The groups of a user that have no enabled admin.
async fn without_admin(db: &Db, user: UserId) -> Result<Vec<ConversationId>> {
    db.run(async |c| {
        // Looked up one by one, here and below: a join would be planned by the row counts of that
        // time.
        sqlx::query_scalar!(
            r#"
            select p.conversation_id as "id: ConversationId" from participants p
            where p.user_id = $1 and p.peer_id is null
                and not exists (
                    select from participants a
                    where a.conversation_id = p.conversation_id and a.role = 'admin'
                        and (select u.disabled_at from users u where u.user_id = a.user_id) is null
                )
            order by p.conversation_id
            "#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// In a group that is locked, and has no admin who is enabled, makes the longest-standing enabled
/// member an admin; where nobody is enabled, and nobody an admin, the longest-standing member. Returns
/// whether somebody was made one.
pub(super) async fn promote(c: &mut PgConnection, conversation: ConversationId) -> Result<bool> {
    let promoted = sqlx::query!(
        "with members as materialized (
            select p.user_id, p.role, p.joined_at,
                   (select u.disabled_at from users u where u.user_id = p.user_id) is null as is_enabled
            from participants p where p.conversation_id = $1
        ), next as (
            select user_id, is_enabled from members order by is_enabled desc, joined_at, user_id limit 1
        )
        update participants p set role = 'admin'
        from next n
        where p.conversation_id = $1 and p.user_id = n.user_id
            and not exists (select from members where role = 'admin' and (is_enabled or not n.is_enabled))",
        conversation as _,
    )
    .execute(&mut *c)
    .await?;
    if promoted.rows_affected() == 0 {
        return Ok(false);
    }
    // Users who blocked the new admin must not see their invitations any more.
    invitation::withdraw_hidden(c, conversation).await?;
    Ok(true)
}
