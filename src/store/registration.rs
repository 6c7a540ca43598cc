//! Registers new users, and gives existing ones new identities.

mod identity;
mod invite;

use sqlx::PgConnection;

use self::invite::Invite;
use super::{
    Db,
    audit::{self, Actor, Change},
    card::{self, NewCard, Published},
    db::End,
    error::Result,
};
use parlance_wire::{
    id::UserId,
    kdf::Kdf,
    key::{PublicKey, SecretHash},
    text::{Email, EncryptedKey, FullName, Nick},
    time::Timestamp,
    word::{CredentialKind, InvitePurpose, UserRole},
};

/// A user to be stored.
#[derive(Debug)]
pub struct NewUser<'a> {
    /// Their address, whose MD5 is their id.
    pub email: &'a Email,
    /// Their full name.
    pub full_name: &'a FullName,
    /// The name that others see.
    pub nick: &'a Nick,
    /// The hash of their apikey.
    pub key_hash: &'a SecretHash,
    /// The kind of credential.
    pub kind: CredentialKind,
    /// The key's name in lists.
    pub label: &'a str,
    /// How it is derived from the password.
    pub kdf: &'a Kdf,
    /// The hash of a second key, for logging in after the password was lost.
    pub recovery: Option<&'a SecretHash>,
    /// The key that verifies their signatures.
    pub public_key: &'a PublicKey,
    /// Their private key, encrypted with their password.
    pub encrypted_private_key: &'a EncryptedKey,
    /// Their next card.
    pub card: Option<NewCard<'a>>,
}

/// The condition for registering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Everyone. A valid invitation is still used, as it creates a friendship.
    Anyone,
    /// People with an invitation.
    Invited,
    /// Nobody new: only the first user, and users who were given a reset.
    Known,
}

/// The outcome of a registration.
#[derive(Debug)]
pub enum Registered {
    /// The user is stored.
    Done {
        /// Users who have to fetch the user again: the new friend from the invitation, or all
        /// friends of a user with new keys.
        seen_by: Vec<UserId>,
    },
    /// There is no invitation, or it is not valid.
    NotInvited,
    /// The address is taken.
    Exists,
    /// The card was refused.
    Card(Published),
}

/// Stores a user and their apikey, and uses up an invitation in the same commit. `origin` is the
/// client's address, for the audit log.
///
/// # Errors
/// The constraint `credentials_key`, by name.
pub async fn register(
    db: &Db,
    user: &NewUser<'_>,
    code: Option<&SecretHash>,
    admission: Admission,
    origin: &str,
    now: Timestamp,
) -> Result<Registered> {
    db.transaction(async |c| {
        let registered = register_in(c, user, code, admission, origin, now).await?;
        Ok(match registered {
            Registered::Done { .. } => End::Commit(registered),
            refused => End::Rollback(refused),
        })
    })
    .await
}

async fn register_in(
    c: &mut PgConnection,
    user: &NewUser<'_>,
    code: Option<&SecretHash>,
    admission: Admission,
    origin: &str,
    now: Timestamp,
) -> Result<Registered> {
    let invite = match code {
        Some(code) => invite::valid_invite(c, code, user.email, now).await?,
        None => None,
    };
    let may_register = match admission {
        Admission::Anyone => true,
        Admission::Invited => invite.is_some(),
        Admission::Known => invite
            .as_ref()
            .is_some_and(|invite| !matches!(invite.purpose, InvitePurpose::Join)),
    };
    if !may_register {
        return Ok(Registered::NotInvited);
    }
    let user_id = UserId::of(user.email);
    let by = Actor {
        name: user.email.to_string(),
        origin: origin.to_owned(),
    };
    let mut seen_by = vec![];
    match &invite {
        Some(Invite {
            purpose: InvitePurpose::Reset,
            ..
        }) => {
            // `valid_invite` has checked that the address is the invitation's, and that its user
            // exists.
            seen_by = identity::replace(c, user_id, user).await?;
            audit::append(c, &by, Change::UserReset, &user_id, [], now).await?;
        }
        Some(Invite {
            purpose: InvitePurpose::First,
            ..
        }) => {
            if !identity::insert(c, user, UserRole::Admin, now).await? {
                return Ok(Registered::Exists);
            }
            audit::append(c, &by, Change::UserFirst, &user_id, [], now).await?;
        }
        Some(Invite {
            purpose: InvitePurpose::Join,
            ..
        })
        | None => {
            if !identity::insert(c, user, UserRole::User, now).await? {
                return Ok(Registered::Exists);
            }
        }
    }
    if let Some(invite) = invite {
        invite::use_up(c, invite.id, user_id, now).await?;
        if let Some(inviter) = invite.inviter
            && invite::befriend(c, inviter, user_id, now).await?
        {
            seen_by.push(inviter);
        }
    }
    // Last, because it locks the key log.
    if let Some(card) = user.card {
        match card::append(c, card, now).await? {
            Published::New | Published::Known => {}
            refused => return Ok(Registered::Card(refused)),
        }
    }
    Ok(Registered::Done { seen_by })
}

/// Stores a user for an operator, without an invitation. Returns whether the address was free.
///
/// # Errors
/// The constraint `credentials_key`, by name.
pub async fn insert(
    db: &Db,
    user: &NewUser<'_>,
    role: UserRole,
    by: &Actor,
    now: Timestamp,
) -> Result<bool> {
    db.transaction(async |c| {
        if !identity::insert(c, user, role, now).await? {
            return Ok(End::Rollback(false));
        }
        let details = [
            ("email", user.email.to_string()),
            ("role", role.as_str().to_owned()),
        ];
        audit::append(
            c,
            by,
            Change::UserAdd,
            &UserId::of(user.email),
            details,
            now,
        )
        .await?;
        Ok(End::Commit(true))
    })
    .await
}
