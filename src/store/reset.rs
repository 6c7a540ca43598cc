//! Resets of users who have lost their password: they are invited to register again, under the same
//! address, with new keys and without access to anything encrypted for the old ones. (The
//! registration: `registration.rs`.)

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
};
use parlance_wire::{
    id::{InviteId, UserId},
    key::SecretHash,
    time::Timestamp,
};

/// A prepared reset.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub invite: InviteId,
    /// The only address that may use it: the user's.
    pub email: String,
}

/// Stores the invitation with which a user gets a new identity, and revokes earlier ones. Nothing
/// else changes until it is used. Returns `None` if there is no such user.
pub(crate) async fn prepare(
    db: &Db,
    user: UserId,
    code_hash: &SecretHash,
    expires_at: Timestamp,
    by: &Actor,
    now: Timestamp,
) -> Result<Option<Prepared>> {
    db.transaction(async |c| {
        // Locked, so that a deletion of the account in progress is awaited and then seen.
        let email = sqlx::query_scalar!(
            r#"select email as "email!" from users where user_id = $1 and deleted_at is null for no key update"#,
            user as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        let Some(email) = email else {
            return Ok(End::Rollback(None));
        };
        sqlx::query!(
            "delete from invites where purpose = 'reset' and email = $1 and used = 0",
            email
        )
        .execute(&mut *c)
        .await?;
        let invite = sqlx::query_scalar!(
            r#"insert into invites (code_hash, purpose, email, created_at, expires_at)
            values ($1, 'reset', $2, $3, $4) returning invite_id as "id: InviteId""#,
            code_hash.as_bytes(),
            email,
            now as _,
            expires_at as _,
        )
        .fetch_one(&mut *c)
        .await?;
        let details = [
            ("invite", invite.to_string()),
            ("expires", expires_at.to_string()),
        ];
        audit::append(c, by, Change::UserPasswdReset, &user, details, now).await?;
        Ok(End::Commit(Some(Prepared { invite, email })))
    })
    .await
}
