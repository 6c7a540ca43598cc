//! Erases messages: their content is deleted at once, and their links in the chain remain, as for
//! expired messages.

use sqlx::PgConnection;

use super::{Db, db::End, error::Result, retire::retire};
use parlance_wire::{
    id::{ConversationId, MessageId, UserId},
    text::Instance,
    word::Role,
};

/// The outcome of erasing messages.
#[derive(Debug)]
pub(crate) enum Erased {
    Done {
        /// Those whose content is deleted now.
        messages: Vec<MessageId>,
        /// Those that were ever stored and are in the chain, whenever their content was deleted.
        known: Vec<MessageId>,
        /// The participants to notify: all of them, but one who has blocked the user, or is their friend no
        /// longer, in a direct conversation.
        participants: Vec<UserId>,
        /// The number of the conversation's newest row at that moment.
        last_seq: i64,
    },
    /// The conversation has this other instance.
    StaleInstance(Instance),
    /// One of them is another user's, and the caller is no admin of a group.
    NotAllowed,
}

/// Erases messages of a conversation; those that do not exist are skipped. Returns `None` if there
/// is no such conversation for this user.
pub(crate) async fn erase(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    instance: &Instance,
    messages: &[MessageId],
) -> Result<Option<Erased>> {
    db.transaction(async |c| {
        // The lock comes first, so that participation and role are read under it. Only participants
        // wait for it.
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
            r#"select role as "role: Role" from participants where conversation_id = $1 and user_id = $2"#,
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
        let is_admin = locked.is_group && role == Role::Admin;
        let known = known(c, conversation, instance, messages).await?;
        if !is_admin && known.iter().any(|(_, writer)| *writer != user) {
            return Ok(End::Rollback(Some(Erased::NotAllowed)));
        }
        let messages = retire!(
            query_scalar,
            r#"
with due as materialized (
    -- Looked up one by one: the plan of a join would depend on the number of rows at the time of
    -- planning.
    select m.ctid from unnest($2::uuid[]) as a (message_id)
    cross join lateral (
        select m.ctid from messages m
        where m.conversation_id = $1 and m.message_id = a.message_id and m.instance = $3
        limit 1
    ) m"#,
            r#"
), noted as (
    -- Makes nodes read cached pages again.
    update conversations set erased = erased + (select count(*) from gone)
    where conversation_id = $1 and exists (select from gone)
)
select message_id as "message_id: MessageId" from gone order by seq"#,
            conversation as _,
            messages as _,
            instance.as_str(),
        )
        .fetch_all(&mut *c)
        .await?;
        let participants = sqlx::query_scalar!(
            r#"select o.user_id as "user: UserId" from participants o
            where o.conversation_id = $1 and (o.user_id = $2 or o.peer_id is null or not o.is_ended and not exists (
                select from blocks b where b.user_id = o.user_id and b.blocked_id = $2
            ))"#,
            conversation as _,
            user as _,
        )
        .fetch_all(c)
        .await?;
        Ok(End::Commit(Some(Erased::Done {
            messages,
            known: known.into_iter().map(|(message, _)| message).collect(),
            participants,
            last_seq: locked.last_seq,
        })))
    })
    .await
}

/// Those of these messages that are in the conversation's chain, each with its writer. Erased ones are, too, so that a
/// repeated request gets the same answer.
async fn known(
    c: &mut PgConnection,
    conversation: ConversationId,
    instance: &Instance,
    messages: &[MessageId],
) -> sqlx::Result<Vec<(MessageId, UserId)>> {
    let known = sqlx::query!(
        r#"select m.message_id as "message!: MessageId", m.user_id as "writer!: UserId"
        from unnest($3::uuid[]) as a (message_id)
        cross join lateral (
            select t.message_id, t.user_id from transcript t
            where t.conversation_id = $1 and t.message_id = a.message_id and t.instance = $2
            limit 1
        ) m"#,
        conversation as _,
        instance.as_str(),
        messages as _,
    )
    .fetch_all(c)
    .await?;
    Ok(known
        .into_iter()
        .map(|row| (row.message, row.writer))
        .collect())
}
