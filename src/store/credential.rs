//! Credentials: the keys that open users' logins.

use sqlx::PgConnection;

use super::{Db, db::End, error::Result, user::CHANGED_CHANNEL};
use crate::store::rows::CredentialRow;
use parlance_wire::{
    id::{CredentialId, StationId, UserId},
    key::SecretHash,
    time::Timestamp,
    word::CredentialKind,
};

/// Gives a user one more apikey. Returns whether there is such a user.
pub async fn add(
    db: &Db,
    user: UserId,
    key_hash: &SecretHash,
    label: &str,
    now: Timestamp,
) -> Result<bool> {
    let stored = db
        .run(async |c| {
            sqlx::query!(
                "insert into credentials (key_hash, user_id, label, kind, created_at)
                select $2, user_id, $3, $4, $5 from users where user_id = $1",
                user as _,
                key_hash.as_bytes(),
                label,
                CredentialKind::Apikey.as_str(),
                now as _,
            )
            .execute(c)
            .await
        })
        .await?;
    Ok(stored.rows_affected() > 0)
}

/// A user's credentials, the oldest first.
pub async fn list(db: &Db, user: UserId) -> Result<Vec<CredentialRow>> {
    db.run(async |c| {
        sqlx::query_as!(
            CredentialRow,
            r#"select credential_id as "credential_id: CredentialId", kind, label,
                   created_at as "created_at: Timestamp", used_at as "used_at: Timestamp"
            from credentials where user_id = $1 order by created_at, credential_id"#,
            user as _,
        )
        .fetch_all(c)
        .await
    })
    .await
}

/// What became of revoking a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// It is gone, or was not there.
    Gone,
    /// It is no apikey: a password and a recovery key are replaced, not revoked.
    NotAnApikey,
    /// Without it nobody could log in.
    Last,
}

/// Deletes an apikey of a user. Nobody logs in with it any more, and the stations that did are ended, on every node.
pub async fn revoke(db: &Db, user: UserId, credential: CredentialId) -> Result<Revoked> {
    db.transaction(async |c| {
        // Two that are revoked at the same moment wait for each other, and the second one finds itself the last.
        sqlx::query!(
            "select from users where user_id = $1 for no key update",
            user as _
        )
        .execute(&mut *c)
        .await?;
        let found = sqlx::query!(
            r#"select kind, exists (
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
            Some(row) if row.kind != CredentialKind::Apikey.as_str() => {
                return Ok(End::Rollback(Revoked::NotAnApikey));
            }
            Some(row) if !row.has_other => return Ok(End::Rollback(Revoked::Last)),
            Some(_) => {}
        }
        // This waits for a login with it; what that bound is seen by the next statement.
        sqlx::query!(
            "delete from credentials where user_id = $1 and credential_id = $2",
            user as _,
            credential as _,
        )
        .execute(&mut *c)
        .await?;
        let ended = sqlx::query_scalar!(
            r#"delete from stations where user_id = $1 and credential_id = $2
            returning station_id as "station: StationId""#,
            user as _,
            credential as _,
        )
        .fetch_all(&mut *c)
        .await?;
        if !ended.is_empty() {
            tell_nodes(c, user, &ended).await?;
        }
        Ok(End::Commit(Revoked::Gone))
    })
    .await
}

/// Has every node forget the user's keys and close these stations' sockets, once the transaction commits.
pub(super) async fn tell_nodes(
    c: &mut PgConnection,
    user: UserId,
    ended: &[StationId],
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"select pg_notify($1, station_payload($2, $3)) is not null as "notified!""#,
        CHANGED_CHANNEL,
        user as _,
        ended as _,
    )
    .fetch_one(c)
    .await
    .map(|_| ())
}
