//! Invites: each code lets one person register. (Invitations to groups: `invitation.rs`.)

use super::{Db, error::Result};
use parlance_wire::{key::SecretHash, time::Timestamp};

/// Stores an invite, which is valid until `expires_at`. Only the hash of its code is kept.
pub async fn insert(
    db: &Db,
    code_hash: &SecretHash,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
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
