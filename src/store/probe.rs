//! Checks that the database accepts writes. A database that can be read may still be read-only,
//! have a full disk, or lack a function that a statement calls.

use uuid::Uuid;

use super::{Db, db::End, error::Result};

/// Stores a message and rolls it back, which needs everything that storing one needs; and commits a
/// write to the node's own row, which has to reach the disk. Returns whether that row exists: the
/// heartbeat writes it.
///
/// # Errors
/// The database's error.
pub async fn write(db: &Db, node: Uuid) -> Result<bool> {
    db.transaction(async |tx| {
        sqlx::query!(
            "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select $1, 1, $1, '', $1, $1, 'Probe', now(), now(), '', chain(chain_beginning($1, ''), 1::bigint, $1, sha256(''))",
            // No conversation has this id, and no other node probes with it.
            node,
        )
        .execute(tx)
        .await?;
        Ok(End::Rollback(()))
    })
    .await?;
    // A rollback never reaches the disk, so a full disk only shows when something is committed.
    let noted = db
        .run(async |c| {
            sqlx::query!(
                "update nodes set alive_until = alive_until where node_id = $1",
                node
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(noted.rows_affected() == 1)
}
