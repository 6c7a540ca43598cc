//! Whether the database takes writes: one that can be read may be read-only, have a full disk, or lack what a statement calls.

use sqlx::Connection;
use uuid::Uuid;

use super::Db;

/// Stores a message and takes it back, as everything that storing one needs is needed for it; and writes one small
/// thing down for good, which the disk has to take. Returns whether there was this thing: the node's own row, which its
/// heartbeat writes.
///
/// # Errors
/// What the database said.
pub async fn write(db: &Db, node: Uuid) -> sqlx::Result<bool> {
    db.run(async |c| {
        let mut tx = c.begin().await?;
        let stored = sqlx::query!(
            "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select $1, 1, $1, '', $1, $1, 'Probe', now(), now(), '', chain(chain_beginning($1, ''), 1::bigint, $1, sha256(''))",
            // No conversation has this id, and nobody else probes with it.
            node,
        )
        .execute(&mut *tx)
        .await;
        tx.rollback().await?;
        stored?;
        let noted = sqlx::query!("update nodes set alive_until = alive_until where node_id = $1", node).execute(c).await?;
        Ok(noted.rows_affected() == 1)
    })
    .await
}
