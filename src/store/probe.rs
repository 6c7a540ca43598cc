//! Checks that the database accepts writes: one that can be read may be read-only, have a full disk, or lack a
//! function that a statement calls.

use uuid::Uuid;

use super::{Db, db::End, error::Result};

/// Stores a message and rolls it back, as that needs everything that storing one needs; and writes to the node's own row
/// for good, which the disk has to take. Returns whether there is such a row: the heartbeat writes it.
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
    // A rollback never reaches the disk: a full one shows only when something is committed.
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
