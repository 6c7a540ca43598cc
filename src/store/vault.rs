//! The key derivation of an account, and its vault, which holds the private keys encrypted.

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

/// The parameters in the stored form.
pub(super) fn written(kdf: &Kdf) -> Result<String> {
    serde_json::to_string(kdf).map_err(|_| impossible("parameters that are no JSON"))
}

fn read(kdf: &str) -> Result<Kdf> {
    serde_json::from_str(kdf).map_err(|_| impossible("parameters that are known"))
}

/// How passwords are turned into keys.
#[derive(Debug)]
pub(crate) struct Kdfs {
    /// The user's, if there is such a user.
    pub own: Option<Kdf>,
    /// That of another user, if there are users.
    pub sample: Option<Kdf>,
}

/// How a user's password is turned into keys, and that of the user whose id follows `sample`, 16
/// bytes.
pub(crate) async fn kdfs(db: &Db, user: UserId, sample: &[u8]) -> Result<Kdfs> {
    // `coalesce` wraps around: the sampled id may be greater than every user's.
    let row = db
        .run(async |c| {
            sqlx::query!(
                r#"select
                    (select kdf from users where user_id = $1 and deleted_at is null) as own,
                    coalesce(
                        (select kdf from users where user_id >= encode($2, 'hex')::uuid and deleted_at is null
                         order by user_id limit 1),
                        (select kdf from users where user_id >= '00000000-0000-0000-0000-000000000000' and deleted_at is null
                         order by user_id limit 1)
                    ) as sample"#,
                user as _,
                sample,
            )
            .fetch_one(c)
            .await
        })
        .await?;
    Ok(Kdfs {
        own: row.own.as_deref().map(read).transpose()?,
        sample: row.sample.as_deref().map(read).transpose()?,
    })
}

/// A vault as stored.
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

/// A change to an account, together with its vault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// The new vault.
    pub vault: &'a EncryptedKey,
    pub version: VaultVersion,
    /// The new login key from the password, and how it is derived.
    pub password: Option<(&'a SecretHash, &'a Kdf)>,
    /// The new recovery key for the login.
    pub recovery: Option<&'a SecretHash>,
    /// The new key for verifying signatures.
    pub public_key: Option<&'a PublicKey>,
    /// The user's next card, whose signatures are verified.
    pub card: Option<NewCard<'a>>,
    /// Ends all stations but this one.
    pub end_all_but: Option<StationId>,
}

/// The outcome of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    /// It was done, now or by an earlier request.
    Done,
    /// The vault already has this version.
    Stale(i32),
    /// The card was refused.
    Card(Published),
    /// The user has a card that names the old key, and no new card was given.
    NoCard,
    /// There is no such user.
    NoUser,
}

/// Changes an account: credentials, keys, card and vault in one commit.
///
/// # Errors
/// The constraint `credentials_key`: another login has this key.
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
    // If two devices change it at the same time, the second one sees the first one's change.
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
        // Encrypting twice never gives the same text, so this is a repeated request whose answer
        // was lost.
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
        // Even if there were no other stations, cached keys are outdated.
        notice::send(c, [Notice::Stations(user)]).await?;
    }
    // Last, because it locks the key log.
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

/// Replaces the credential of its kind. Stations that logged in with the old one stay.
async fn replace(
    c: &mut PgConnection,
    user: UserId,
    kind: CredentialKind,
    key_hash: &SecretHash,
    now: Timestamp,
) -> sqlx::Result<()> {
    // This waits for a login with it. The next statement sees the station of that login.
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
