//! What opens an account: how its password is made into keys, and its vault, which holds the private keys under what only
//! its user knows.

use super::{
    Db,
    card::{self, NewCard, Published},
    db::End,
    error::{Result, impossible},
    notice::{self, Notice},
    station::{self, Which},
};
use parlance_wire::{
    id::{CredentialId, StationId, UserId},
    kdf::Kdf,
    key::{PublicKey, SecretHash},
    request::account::VaultVersion,
    text::EncryptedKey,
    time::Timestamp,
    word::CredentialKind,
};
use sqlx::PgConnection;

/// The parameters as they are kept.
pub(super) fn written(kdf: &Kdf) -> Result<String> {
    serde_json::to_string(kdf).map_err(|_| impossible("parameters that are no JSON"))
}

fn read(kdf: &str) -> Result<Kdf> {
    serde_json::from_str(kdf).map_err(|_| impossible("parameters that are known"))
}

/// How the password of a user is made into keys; `stand_in`, if there is no such user, with the same work.
pub(crate) async fn kdf(db: &Db, user: UserId, stand_in: &Kdf) -> Result<Kdf> {
    let stand_in = written(stand_in)?;
    let kdf = db
        .run(async |c| {
            sqlx::query_scalar!(
                "select kdf from users where user_id = $1 and deleted_at is null",
                user as _,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    read(&kdf.unwrap_or(stand_in))
}

/// A vault, as it is kept.
#[derive(Debug)]
pub(crate) struct Vault {
    pub rsakey: String,
    pub version: i32,
    pub kdf: Kdf,
}

/// A user's vault. Returns `None` if there is no such user.
pub(crate) async fn vault(db: &Db, user: UserId) -> Result<Option<Vault>> {
    let row = db
        .run(async |c| {
            sqlx::query!(
                "select encrypted_private_key, vault_version, kdf from users where user_id = $1 and deleted_at is null",
                user as _,
            )
            .fetch_optional(c)
            .await
        })
        .await?;
    row.map(|row| {
        Ok(Vault {
            rsakey: row.encrypted_private_key,
            version: row.vault_version,
            kdf: read(&row.kdf)?,
        })
    })
    .transpose()
}

/// A change of an account that its vault changes with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// The vault from now on.
    pub vault: &'a EncryptedKey,
    pub version: VaultVersion,
    /// What the password opens the login with from now on, and how that is made from it.
    pub password: Option<(&'a SecretHash, &'a Kdf)>,
    /// What the recovery key opens the login with from now on.
    pub recovery: Option<&'a SecretHash>,
    /// The key that signatures are checked with from now on.
    pub public_key: Option<&'a PublicKey>,
    /// The user's next card, whose own signatures were verified.
    pub card: Option<NewCard<'a>>,
    /// Ends all stations but this one.
    pub end_all_but: Option<StationId>,
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It was done, now or before.
    Done,
    /// The vault has this version already.
    Stale(i32),
    /// The card was refused.
    Card(Published),
    /// The user has a card, which names the old key, and no other one was given.
    NoCard,
    /// There is no such user.
    NoUser,
}

/// Changes an account: credentials, keys, card and vault in one commit.
///
/// # Errors
/// The constraint `credentials_key`, by name: another login has this key.
pub(crate) async fn change(
    db: &Db,
    user: UserId,
    change: Change<'_>,
    now: Timestamp,
) -> Result<Changed> {
    db.transaction(async |c| {
        Ok(match change_in(c, user, change, now).await? {
            Changed::Done => End::Commit(Changed::Done),
            refused => End::Rollback(refused),
        })
    })
    .await
}

async fn change_in(
    c: &mut PgConnection,
    user: UserId,
    change: Change<'_>,
    now: Timestamp,
) -> Result<Changed> {
    let version = i32::try_from(change.version.get()).map_err(|_| impossible("that version"))?;
    // Of two devices that change it at the same moment, the second one finds what the first one wrote.
    let present = sqlx::query!(
        r#"select vault_version, encrypted_private_key = $2 as "is_same!" from users
        where user_id = $1 and deleted_at is null for no key update"#,
        user as _,
        change.vault.as_str(),
    )
    .fetch_optional(&mut *c)
    .await?;
    let Some(present) = present else {
        return Ok(Changed::NoUser);
    };
    if version <= present.vault_version {
        // Nobody encrypts twice to the same text: it is the same request, whose answer was lost.
        let is_again = version == present.vault_version && present.is_same;
        return Ok(if is_again {
            Changed::Done
        } else {
            Changed::Stale(present.vault_version)
        });
    }
    if change.public_key.is_some() && change.card.is_none() && has_card(c, user).await? {
        return Ok(Changed::NoCard);
    }
    sqlx::query!(
        "update users set encrypted_private_key = $2, vault_version = $3, public_key = coalesce($4, public_key)
        where user_id = $1",
        user as _,
        change.vault.as_str(),
        version,
        change.public_key.map(PublicKey::as_str),
    )
    .execute(&mut *c)
    .await?;
    if let Some((key_hash, kdf)) = change.password {
        sqlx::query!(
            "update users set kdf = $2 where user_id = $1",
            user as _,
            written(kdf)?,
        )
        .execute(&mut *c)
        .await?;
        replace(c, user, CredentialKind::Password, key_hash, now).await?;
    }
    if let Some(key_hash) = change.recovery {
        replace(c, user, CredentialKind::Recovery, key_hash, now).await?;
    }
    if let Some(station) = change.end_all_but {
        station::end_in(c, user, Which::AllBut(station)).await?;
    }
    if change.public_key.is_some() {
        // Cached keys are out of date, even if there were no other stations.
        notice::send(c, [Notice::Stations(user)]).await?;
    }
    // Last, as it locks the key log.
    if let Some(card) = change.card {
        match card::append(c, card, now).await? {
            Published::New | Published::Known => {}
            refused => return Ok(Changed::Card(refused)),
        }
    }
    Ok(Changed::Done)
}

async fn has_card(c: &mut PgConnection, user: UserId) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from cards where user_id = $1) as "has!""#,
        user as _,
    )
    .fetch_one(c)
    .await
}

/// Puts a credential in the place of the one of its kind. The stations that logged in with that stay.
async fn replace(
    c: &mut PgConnection,
    user: UserId,
    kind: CredentialKind,
    key_hash: &SecretHash,
    now: Timestamp,
) -> sqlx::Result<()> {
    // This waits for a login with it; what that bound is seen by the next statement.
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
