//! Invitations: each lets one person register.

use sqlx::PgPool;

use crate::model::{key::SecretHash, time::Timestamp};

/// Stores an invitation that ends at a time.
pub async fn insert(db: &PgPool, code_hash: &SecretHash, now: Timestamp, expires_at: Timestamp) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into invites (code_hash, created_at, expires_at) values ($1, $2, $3)",
        code_hash.as_bytes(),
        now as _,
        expires_at as _,
    )
    .execute(db)
    .await?;
    Ok(())
}
