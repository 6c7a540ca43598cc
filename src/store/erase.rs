//! Messages are erased: what they said is gone at once, and their links of the chain stay, as of those that expired.

use sqlx::PgConnection;

use super::{Db, db::End, error::Result};
use parlance_wire::{
    id::{ConversationId, MessageId, UserId},
    text::Instance,
    word::Role,
};

/// What became of erasing messages.
#[derive(Debug)]
pub(crate) enum Erased {
    /// These were there, and are gone; all participants have to hear of it.
    Done {
        messages: Vec<MessageId>,
        participants: Vec<UserId>,
        /// The number of the conversation's newest row at that moment.
        last_seq: i64,
    },
    /// The conversation has another instance by now: this one.
    StaleInstance(Instance),
    /// One of them is another user's, and the caller no admin of a group.
    NotAllowed,
}

/// Erases messages of a conversation; what is not there (any more) is passed over. Returns `None` when there is no such
/// conversation, for this user.
pub(crate) async fn erase(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
    messages: &[MessageId],
) -> Result<Option<Erased>> {
    db.transaction(async |c| {
        // First the lock, then the rest: who takes part and in which role is read as it is under the lock. Only
        // participants lock it.
        let locked = sqlx::query!(
            r#"select c.instance as "instance: Instance", c.is_group, c.last_seq
            from participants p
            join conversations c using (conversation_id)
            where p.conversation_id = $1 and p.user_id = $2
            for no key update of c"#,
            conversation as _,
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let role = sqlx::query_scalar!(
            "select role from participants where conversation_id = $1 and user_id = $2",
            conversation as _,
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let (Some(locked), Some(role)) = (locked, role) else {
            return Ok(End::Rollback(None));
        };
        if locked.instance != *instance {
            return Ok(End::Rollback(Some(Erased::StaleInstance(locked.instance))));
        }
        let is_admin = locked.is_group && role == Role::Admin.as_str();
        if !is_admin && has_others(c, conversation, user, instance, messages).await? {
            return Ok(End::Rollback(Some(Erased::NotAllowed)));
        }
        let messages = sqlx::query_file_scalar!(
            "src/store/sql/erase_named_messages.sql",
            conversation as _,
            messages as _,
            instance.as_str(),
        )
        .fetch_all(&mut *c)
        .await?;
        let participants = sqlx::query_scalar!(
            r#"select user_id as "user: UserId" from participants where conversation_id = $1"#,
            conversation as _,
        )
        .fetch_all(c)
        .await?;
        Ok(End::Commit(Some(Erased::Done {
            messages,
            participants,
            last_seq: locked.last_seq,
        })))
    })
    .await
}

/// Whether one of these messages is another user's.
async fn has_others(
    c: &mut PgConnection,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
    messages: &[MessageId],
) -> sqlx::Result<bool> {
    // Also of those that are gone already: the answer is the same, however often it is asked.
    sqlx::query_scalar!(
        r#"select exists (
            select from unnest($4::uuid[]) as a (message_id)
            cross join lateral (
                select t.user_id from transcript t
                where t.conversation_id = $1 and t.message_id = a.message_id and t.instance = $3
                limit 1
            ) m
            where m.user_id <> $2
        ) as "exists!""#,
        conversation as _,
        user as _,
        instance.as_str(),
        messages as _,
    )
    .fetch_one(c)
    .await
}
