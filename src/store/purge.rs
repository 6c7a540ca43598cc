//! Deletes what a `clear` made unreachable. In small batches, each a commit of its own, of rows that
//! nobody else writes: writers are never blocked.

use super::Db;
use crate::model::id::ConversationId;

/// Rows of each kind deleted in one commit.
const BATCH: i64 = 1000;

/// Deletes the rows of earlier instances, until there are none left. How many it deleted.
pub async fn cleared(db: &Db) -> sqlx::Result<u64> {
    let mut deleted = 0;
    while let Some(due) = db
        .run(async |c| {
            sqlx::query!(
                r#"select conversation_id as "id: ConversationId", cleared_seq from conversations
                where purged_seq < cleared_seq order by conversation_id limit 1"#
            )
            .fetch_optional(c)
            .await
        })
        .await?
    {
        loop {
            let messages = db
                .run(async |c| {
                    sqlx::query!(
                        "delete from messages m using (
                            select conversation_id, seq from messages
                            where conversation_id = $1 and seq <= $2
                            order by seq limit $3 for update
                        ) due where m.conversation_id = due.conversation_id and m.seq = due.seq",
                        due.id as _,
                        due.cleared_seq,
                        BATCH,
                    )
                    .execute(c)
                    .await
                })
                .await?
                .rows_affected();
            let reports = db
                .run(async |c| {
                    sqlx::query!(
                        "delete from reports r using (
                            select conversation_id, seq from reports
                            where conversation_id = $1 and seq <= $2
                            order by seq limit $3 for update
                        ) due where r.conversation_id = due.conversation_id and r.seq = due.seq",
                        due.id as _,
                        due.cleared_seq,
                        BATCH,
                    )
                    .execute(c)
                    .await
                })
                .await?
                .rows_affected();
            deleted += messages + reports;
            if messages + reports == 0 {
                break;
            }
        }
        db.run(async |c| {
            sqlx::query!(
                "update conversations set purged_seq = greatest(purged_seq, $2) where conversation_id = $1",
                due.id as _,
                due.cleared_seq,
            )
            .execute(c)
            .await
        })
        .await?;
    }
    Ok(deleted)
}
