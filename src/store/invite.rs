//! Invitations: each lets one person register.

use super::Db;
use parlance_wire::{key::SecretHash, time::Timestamp};

/// Stores an invitation that ends at a time.
pub async fn insert(
    db: &Db,
    code_hash: &SecretHash,
    now: Timestamp,
    expires_at: Timestamp,
) -> sqlx::Result<()> {
    db.run(async |c| {
        sqlx::query!(
            "insert into invites (code_hash, created_at, expires_at) values ($1, $2, $3)",
            code_hash.as_bytes(),
            now as _,
            expires_at as _,
        )
        .execute(c)
        .await
    })
    .await?;
    Ok(())
}
