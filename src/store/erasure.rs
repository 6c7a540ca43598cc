//! The erasure deletes the content of messages whose authors have deleted their accounts. Their links
//! in the chain remain, as for expired messages (`purge.rs`), so that no transcript has a hole.

use super::{Db, error::Result, retire::retire};
use parlance_wire::{
    id::{ConversationId, UserId},
    time::Timestamp,
};

/// Maximum messages erased in one commit.
const BATCH: i64 = 500;

/// Performs all pending erasures. Returns the number of erased messages. May run on several nodes at
/// once.
pub async fn run(db: &Db) -> Result<u64> {
    let mut erased = 0;
    loop {
        let due = db
            .run(async |c| {
                sqlx::query!(
                    r#"select user_id as "user_id: UserId", deleted_at as "deleted_at: Timestamp" from erasures
                    order by deleted_at, user_id limit 1"#
                )
                .fetch_optional(c)
                .await
            })
            .await?;
        let Some(due) = due else { return Ok(erased) };
        let mut after = None;
        while let Some(conversation) = next_conversation(db, due.user_id, after).await? {
            erased += erase(db, conversation, due.user_id, due.deleted_at).await?;
            after = Some(conversation);
        }
        db.run(async |c| {
            sqlx::query!(
                "delete from erasures where user_id = $1 and deleted_at = $2",
                due.user_id as _,
                due.deleted_at as _,
            )
            .execute(c)
            .await
        })
        .await?;
    }
}

/// The next conversation, by id, in which the user takes or took part.
async fn next_conversation(
    db: &Db,
    user: UserId,
    after: Option<ConversationId>,
) -> Result<Option<ConversationId>> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"
            select conversation_id as "id!: ConversationId" from (
                (select conversation_id from participants
                where user_id = $1 and ($2::uuid is null or conversation_id > $2) order by conversation_id limit 1)
                union all
                (select conversation_id from former_participants
                where user_id = $1 and ($2::uuid is null or conversation_id > $2) order by conversation_id limit 1)
            ) next
            order by 1 limit 1
            "#,
            user as _,
            after as _,
        )
        .fetch_optional(c)
        .await
    })
    .await
}

/// Erases a user's messages in a conversation, batch by batch.
async fn erase(
    db: &Db,
    conversation: ConversationId,
    user: UserId,
    deleted_at: Timestamp,
) -> Result<u64> {
    let (mut erased, mut after) = (0, 0);
    loop {
        let batch = db
            .run(async |c| {
                retire!(
                    query,
                    r#"
with locked as materialized (
    -- The conversation is locked first, as by all other changes to it.
    select conversation_id from conversations where conversation_id = $1 for no key update
), due as materialized (
    -- Waits for rows that are locked by others, because none may be left out.
    select ctid, seq from messages
    where conversation_id = (select conversation_id from locked) and user_id = $2 and stored_at <= $3 and seq > $4
    order by seq limit $5
    for update"#,
                    r#"
), noted as (
    -- Makes nodes read cached pages again.
    update conversations set erased = erased + (select count(*) from gone)
    where conversation_id = $1 and exists (select from gone)
)
select count(*) as "count!", max(seq) as newest from due"#,
                    conversation as _,
                    user as _,
                    deleted_at as _,
                    after,
                    BATCH,
                )
                .fetch_one(c)
                .await
            })
            .await?;
        erased += batch.count.unsigned_abs();
        match batch.newest {
            Some(newest) if batch.count == BATCH => after = newest,
            _ => return Ok(erased),
        }
    }
}
