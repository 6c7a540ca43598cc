//! What opens an account: how its password is stretched, and its vault, the private key under what only its user knows.

use super::{Db, credential::tell_nodes, db::End, error::Result};
use parlance_wire::{
    id::{CredentialId, StationId, UserId},
    kdf::Argon2id,
    key::{PublicKey, SecretHash},
    request::account::VaultVersion,
    text::EncryptedKey,
    time::Timestamp,
    word::CredentialKind,
};
use sqlx::PgConnection;

/// What a client has to know before its user can log in.
#[derive(Debug)]
pub(crate) struct Prelogin {
    /// What the salt of an address without a user is made with.
    pub secret: Vec<u8>,
    /// There is such a user.
    pub is_user: bool,
    /// Their parameters; those of the published form are not kept.
    pub m: Option<i32>,
    pub t: Option<i32>,
    pub p: Option<i32>,
    pub salt: Option<String>,
}

/// How the password of a user is stretched, whether there is such a user or not: with the same work.
pub(crate) async fn prelogin(db: &Db, user: UserId) -> Result<Prelogin> {
    db.run(async |c| {
        sqlx::query_as!(
            Prelogin,
            r#"select s.secret, u.user_id is not null as "is_user!",
                   u.kdf_m as "m?", u.kdf_t as "t?", u.kdf_p as "p?", u.kdf_salt as "salt?"
            from prelogin_secret s
            left join lateral (select * from users where user_id = $1 limit 1) u on true
            where s.only_row"#,
            user as _,
        )
        .fetch_one(c)
        .await
    })
    .await
}

/// A change of an account that its vault changes with.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    /// The vault from now on.
    pub vault: &'a EncryptedKey,
    pub version: VaultVersion,
    /// What the password opens the login with from now on, and how it is stretched.
    pub password: Option<(&'a SecretHash, Option<&'a Argon2id>)>,
    /// What the recovery key opens the login with from now on.
    pub recovery: Option<&'a SecretHash>,
    pub public_key: Option<&'a PublicKey>,
    /// Ends all stations but this one.
    pub end_all_but: Option<StationId>,
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    /// It was done, now or before.
    Done,
    /// The vault has this version already.
    Stale(i32),
}

/// Changes an account: credentials, keys and vault in one commit.
///
/// # Errors
/// The constraint `credentials_key`, by name: another login has this key.
pub(crate) async fn change(
    db: &Db,
    user: UserId,
    change: &Change<'_>,
    now: Timestamp,
) -> Result<Changed> {
    db.transaction(async |c| {
        // Of two devices that change it at the same moment, the second one finds what the first one wrote.
        let present = sqlx::query!(
            "select vault_version, encrypted_private_key = $2 as \"is_same!\" from users where user_id = $1 for no key update",
            user as _,
            change.vault.as_str(),
        )
        .fetch_one(&mut *c)
        .await?;
        if change.version.get() <= present.vault_version {
            // Nobody encrypts twice to the same text: it is the same request, whose answer was lost.
            let is_again = change.version.get() == present.vault_version && present.is_same;
            return Ok(End::Rollback(if is_again {
                Changed::Done
            } else {
                Changed::Stale(present.vault_version)
            }));
        }
        sqlx::query!(
            "update users set encrypted_private_key = $2, vault_version = $3, public_key = coalesce($4, public_key)
            where user_id = $1",
            user as _,
            change.vault.as_str(),
            change.version.get(),
            change.public_key.map(PublicKey::as_str),
        )
        .execute(&mut *c)
        .await?;
        if let Some((key_hash, kdf)) = change.password {
            set_kdf(c, user, kdf).await?;
            replace(c, user, CredentialKind::Password, key_hash, now).await?;
        }
        if let Some(key_hash) = change.recovery {
            replace(c, user, CredentialKind::Recovery, key_hash, now).await?;
        }
        let ended = match change.end_all_but {
            Some(station) => end_others(c, user, station).await?,
            None => vec![],
        };
        if change.public_key.is_some() || !ended.is_empty() {
            tell_nodes(c, user, &ended).await?;
        }
        Ok(End::Commit(Changed::Done))
    })
    .await
}

async fn set_kdf(c: &mut PgConnection, user: UserId, kdf: Option<&Argon2id>) -> sqlx::Result<()> {
    sqlx::query!(
        "update users set kdf_m = $2, kdf_t = $3, kdf_p = $4, kdf_salt = $5 where user_id = $1",
        user as _,
        kdf.map(|kdf| kdf.m.get()),
        kdf.map(|kdf| kdf.t.get()),
        kdf.map(|kdf| kdf.p.get()),
        kdf.map(|kdf| kdf.salt.to_string()),
    )
    .execute(c)
    .await
    .map(|_| ())
}

/// Puts a credential in the place of those of its kind. The stations that logged in with them stay.
async fn replace(
    c: &mut PgConnection,
    user: UserId,
    kind: CredentialKind,
    key_hash: &SecretHash,
    now: Timestamp,
) -> sqlx::Result<()> {
    // This waits for a login with it; what that bound is seen by the next statements.
    let old = sqlx::query_scalar!(
        r#"delete from credentials where user_id = $1 and kind = $2 returning credential_id as "id: CredentialId""#,
        user as _,
        kind.as_str(),
    )
    .fetch_all(&mut *c)
    .await?;
    sqlx::query!(
        "with stored as (
            insert into credentials (key_hash, user_id, label, kind, created_at) values ($2, $1, $3, $3, $4)
            returning credential_id
        )
        update stations s set credential_id = stored.credential_id
        from stored where s.user_id = $1 and s.credential_id = any($5)",
        user as _,
        key_hash.as_bytes(),
        kind.as_str(),
        now as _,
        &old as _,
    )
    .execute(c)
    .await
    .map(|_| ())
}

async fn end_others(
    c: &mut PgConnection,
    user: UserId,
    station: StationId,
) -> sqlx::Result<Vec<StationId>> {
    sqlx::query_scalar!(
        r#"delete from stations where user_id = $1 and station_id <> $2 returning station_id as "station: StationId""#,
        user as _,
        station as _,
    )
    .fetch_all(c)
    .await
}
