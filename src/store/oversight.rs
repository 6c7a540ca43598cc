//! Operators' view of conversations: listing, inspecting and deleting them. Their messages are
//! encrypted and cannot be read here.

use sqlx::{ConnectOptions, Connection, PgConnection};

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
    notice::{self, Notice},
    purge,
};
use parlance_wire::{
    id::{ConversationId, UserId},
    text::Instance,
    time::Timestamp,
    word::Role,
};

/// A filter for the list of conversations.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only conversations that this user takes part in.
    pub user: Option<UserId>,
    /// Only groups, or only direct ones.
    pub groups: Option<bool>,
    /// Only conversations with ids after this one.
    pub after: Option<ConversationId>,
}

/// A conversation, as operators list it.
#[derive(Debug)]
pub struct Overview {
    /// Its id, which commands take.
    pub conversation_id: ConversationId,
    /// Whether it is a group; otherwise it is a direct conversation.
    pub is_group: bool,
    /// Number of participants.
    pub participants: i64,
    /// Number of messages and reports since the last `clear`, including expired ones.
    pub rows: i64,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the newest message was created.
    pub last_access_at: Timestamp,
}

/// A participant of a conversation.
#[derive(Debug)]
pub struct Member {
    /// The user's id.
    pub user_id: UserId,
    /// The user's address; `None` if the account was deleted.
    pub email: Option<String>,
    /// Their role.
    pub role: Role,
    /// When they joined.
    pub joined_at: Timestamp,
    /// Number of their messages that still exist.
    pub messages: i64,
    /// Size of these messages in bytes.
    pub bytes: i64,
}

/// Conversations, by id.
pub async fn list(db: &Db, filter: &Filter, limit: i64) -> Result<Vec<Overview>> {
    db.run(async |c| {
        sqlx::query_as!(
            Overview,
            r#"
            select c.conversation_id as "conversation_id: ConversationId", c.is_group,
                   (select count(*) from participants p where p.conversation_id = c.conversation_id) as "participants!",
                   c.last_seq - c.cleared_seq as "rows!", c.created_at as "created_at: Timestamp",
                   c.last_access_at as "last_access_at: Timestamp"
            from conversations c
            where ($1::uuid is null or exists (
                    select from participants p where p.conversation_id = c.conversation_id and p.user_id = $1
                ))
                and ($2::boolean is null or c.is_group = $2) and ($3::uuid is null or c.conversation_id > $3)
            order by c.conversation_id
            limit $4
            "#,
            filter.user as _,
            filter.groups,
            filter.after as _,
            limit,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// A conversation and its participants. Reads the sizes of all its messages. Returns `None` if
/// there is no such conversation.
pub async fn show(
    db: &Db,
    conversation: ConversationId,
) -> Result<Option<(Overview, Vec<Member>)>> {
    // On a connection of its own, as it may take longer than a request's statement may.
    let mut connection = db.maintenance_options().connect().await?;
    let overview = sqlx::query_as!(
        Overview,
        r#"
        select c.conversation_id as "conversation_id: ConversationId", c.is_group,
               (select count(*) from participants p where p.conversation_id = c.conversation_id) as "participants!",
               c.last_seq - c.cleared_seq as "rows!", c.created_at as "created_at: Timestamp",
               c.last_access_at as "last_access_at: Timestamp"
        from conversations c where c.conversation_id = $1
        "#,
        conversation as _,
    )
    .fetch_optional(&mut connection)
    .await?;
    let members = sqlx::query_as!(
        Member,
        r#"
        with sent as materialized (
            select user_id, count(*) as messages, sum(octet_length(data))::bigint as bytes
            from messages where conversation_id = $1 group by user_id
        )
        select p.user_id as "user_id: UserId", u.email, p.role as "role: Role", p.joined_at as "joined_at: Timestamp",
               coalesce(s.messages, 0) as "messages!", coalesce(s.bytes, 0) as "bytes!"
        from participants p
        join users u using (user_id)
        left join sent s using (user_id)
        where p.conversation_id = $1
        order by p.joined_at, p.user_id
        "#,
        conversation as _,
    )
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(overview.map(|overview| (overview, members)))
}

/// Deletes a conversation with all its messages for everyone, and notifies them. Returns whether
/// there was one. It disappears for its participants at once, and its rows are deleted in batches;
/// if that is interrupted, call it again.
pub async fn delete(
    db: &Db,
    conversation: ConversationId,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    let end = db
        .transaction(async |c| {
            Ok(match close(c, conversation, by, now).await? {
                Some(end) => End::Commit(Some(end)),
                None => End::Rollback(None),
            })
        })
        .await?;
    let Some(end) = end else { return Ok(false) };
    while purge::delete_cleared(db, conversation, end).await? > 0 {}
    // If the same two users have created a new direct conversation meanwhile, that one is kept.
    purge::delete_unused(db, conversation, end).await?;
    Ok(true)
}

/// Removes a conversation from all participants. Returns the number of its last row, or `None` if
/// there is no such conversation.
async fn close(
    c: &mut PgConnection,
    conversation: ConversationId,
    by: &Actor,
    now: Timestamp,
) -> Result<Option<i64>> {
    let row = sqlx::query!(
        "select is_group, last_seq from conversations where conversation_id = $1 for update",
        conversation as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let recipients = sqlx::query_scalar!(
        r#"
        with members as (
            delete from participants where conversation_id = $1 returning user_id
        ), invited as (
            delete from invitations where conversation_id = $1 returning user_id
        ), secrets as (
            delete from epoch_secrets where conversation_id = $1
        )
        select user_id as "user_id!: UserId" from members union select user_id from invited
        "#,
        conversation as _,
    )
    .fetch_all(&mut *c)
    .await?;
    // As `clear` does, so that the purge deletes the rows if `delete` is interrupted.
    let next = Instance::random();
    sqlx::query!(
        "update conversations
        set instance = $2, roster = roster + 1, cleared_seq = last_seq, last_message_id = null, last_message_seq = 0,
            last_report_id = null, chain = null
        where conversation_id = $1",
        conversation as _,
        next.as_str(),
    )
    .execute(&mut *c)
    .await?;
    let details = [
        ("group", row.is_group.to_string()),
        ("participants", recipients.len().to_string()),
        ("rows", row.last_seq.to_string()),
    ];
    audit::append(
        c,
        by,
        Change::ConversationDelete,
        &conversation,
        details,
        now,
    )
    .await?;
    notice::send(c, recipients.into_iter().map(Notice::List)).await?;
    Ok(Some(row.last_seq))
}
