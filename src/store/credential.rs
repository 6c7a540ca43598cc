//! Credentials: the keys that open users' logins.

use sqlx::PgConnection;

use super::{
    Db,
    audit::{self, Actor, Change},
    db::End,
    error::Result,
    station::{self, Which},
};
use crate::store::rows::CredentialRow;
use parlance_wire::{
    id::{CredentialId, UserId},
    key::SecretHash,
    time::Timestamp,
    word::CredentialKind,
};

/// Adds an apikey for a user, as an operator does. Returns `true` if there is such a user.
pub async fn add(
    db: &Db,
    user: UserId,
    key_hash: &SecretHash,
    label: &str,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        // Locked, so that a deletion of the account in progress is awaited and then seen.
        let stored = sqlx::query!(
            "insert into credentials (key_hash, user_id, label, kind, created_at)
            select $2, user_id, $3, $4, $5 from users where user_id = $1 and deleted_at is null for key share",
            user as _,
            key_hash.as_bytes(),
            label,
            CredentialKind::Apikey.as_str(),
            now as _,
        )
        .execute(&mut *c)
        .await?;
        if stored.rows_affected() == 0 {
            return Ok(End::Rollback(false));
        }
        let details = [("label", label.to_owned())];
        audit::append(c, by, Change::UserApikey, &user, details, now).await?;
        Ok(End::Commit(true))
    })
    .await
}

/// A user's credentials, oldest first.
pub(crate) async fn list(db: &Db, user: UserId) -> Result<Vec<CredentialRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            CredentialRow,
            r#"select credential_id as "credential_id: CredentialId", kind as "kind: CredentialKind", label,
                   created_at as "created_at: Timestamp", used_at as "used_at: Timestamp"
            from credentials where user_id = $1 order by created_at, credential_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// Returns `true` if this is one of the user's keys.
pub(crate) async fn opens(db: &Db, user: UserId, key_hash: &SecretHash) -> Result<bool> {
    db.run(async |c| {
        sqlx::query_scalar!(
            r#"select exists (select from credentials where key_hash = $2 and user_id = $1) as "opens!""#,
            user as _,
            key_hash.as_bytes(),
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// The outcome of revoking a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// It is gone, or did not exist.
    Gone,
    /// A password or a recovery key, which can only be replaced.
    NotAnApikey,
    /// Nobody could log in without it.
    Last,
}

/// Revokes one of a user's own apikeys, and ends the stations that logged in with it, on every
/// node.
pub(crate) async fn revoke(db: &Db, user: UserId, credential: CredentialId) -> Result<Revoked> {
    db.transaction(async |c| {
        // Two that are revoked at the same time wait for each other, so that the second one is
        // found to be the last.
        sqlx::query!(
            "select from users where user_id = $1 for no key update",
            user as _
        )
        .execute(&mut *c)
        .await?;
        let found = sqlx::query!(
            r#"select kind as "kind: CredentialKind", exists (
                   select from credentials o
                   where o.user_id = $1 and o.credential_id <> $2 and o.kind <> 'recovery'
               ) as "has_other!"
            from credentials where user_id = $1 and credential_id = $2"#,
            user as _,
            credential as _,
        )
        .fetch_optional(&mut *c)
        .await?;
        match found {
            None => return Ok(End::Rollback(Revoked::Gone)),
            Some(row) if row.kind != CredentialKind::Apikey => {
                return Ok(End::Rollback(Revoked::NotAnApikey));
            }
            Some(row) if !row.has_other => return Ok(End::Rollback(Revoked::Last)),
            Some(_) => {}
        }
        remove(c, user, credential).await?;
        Ok(End::Commit(Revoked::Gone))
    })
    .await
}

/// Revokes any credential of a user, as an operator does. Returns `true` if there was such a
/// credential.
pub(crate) async fn revoke_by(
    db: &Db,
    user: UserId,
    credential: CredentialId,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        let Some(label) = remove(c, user, credential).await? else {
            return Ok(End::Rollback(false));
        };
        let details = [("key", credential.to_string()), ("label", label)];
        audit::append(c, by, Change::UserRevoke, &user, details, now).await?;
        Ok(End::Commit(true))
    })
    .await
}

/// Deletes a credential, and ends the stations that logged in with it. Returns its label.
async fn remove(
    c: &mut PgConnection,
    user: UserId,
    credential: CredentialId,
) -> sqlx::Result<Option<String>> {
    // This waits for a login with it. The next statement sees the station of that login.
    let label = sqlx::query_scalar!(
        "delete from credentials where user_id = $1 and credential_id = $2 returning label",
        user as _,
        credential as _,
    )
    .fetch_optional(&mut *c)
    .await?;
    if label.is_some() {
        station::end_in(c, user, Which::With(credential)).await?;
    }
    Ok(label)
}
