//! Locks a conversation for a change to its epochs.

use parlance_wire::{
    id::{ConversationId, UserId},
    text::Instance,
    word::Role,
};
use sqlx::PgConnection;

use crate::store::error::Result;

/// A conversation and the caller's place in it, under the conversation's lock.
pub(super) struct Own {
    pub is_group: bool,
    pub instance: Instance,
    /// The number of the present epoch, or 0 for none.
    pub epoch: i32,
    pub role: Role,
}

/// Locks a conversation, so that its participants stay as they are. Returns `None` if the caller
/// does not take part.
pub(super) async fn lock(
    c: &mut PgConnection,
    conversation: ConversationId,
    caller: UserId,
) -> Result<Option<Own>> {
    let locked = sqlx::query!(
        "select from conversations where conversation_id = $1
            and exists (select from participants where conversation_id = $1 and user_id = $2)
        for no key update",
        conversation as _,
        caller as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    if locked.is_none() {
        return Ok(None);
    }
    // A separate statement, because only a new one sees what was committed before the lock was
    // taken.
    Ok(sqlx::query_as!(
        Own,
        r#"
        select c.is_group, c.instance as "instance: Instance", c.epoch, p.role as "role: Role"
        from participants p join conversations c using (conversation_id)
        where p.conversation_id = $1 and p.user_id = $2
        "#,
        conversation as _,
        caller as _,
    )
    .fetch_optional(c)
    .await?)
}
