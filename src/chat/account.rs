//! A user's own account: names, credentials and vault, and its deletion.

use super::{Call, error::Error, keys, quota, rates};
use crate::{
    notify::event::Event,
    store::{
        self,
        credential::Revoked,
        profile::{self, Profile},
        vault::{Change, Changed},
    },
};
use parlance_wire::{
    e2ee::SignedCard,
    id::CredentialId,
    kdf::Kdf,
    key::{PublicKey, SecretHash},
    request::account::VaultVersion,
    text::{EncryptedKey, FullName, Nick},
};

/// Changes the caller's names. Users who see the nick are notified of a new one. Idempotent.
///
/// # Errors
/// `BadRequest` without a name; `UsedUp`.
pub(crate) async fn change_names(
    call: &Call<'_>,
    full_name: Option<&FullName>,
    nick: Option<&Nick>,
) -> Result<Profile, Error> {
    if full_name.is_none() && nick.is_none() {
        return Err(Error::BadRequest(
            "fullname or nick must be given.".to_owned(),
        ));
    }
    let limits = quota::limits(call);
    match profile::change(&call.services.db, call.user, full_name, nick, &limits).await? {
        profile::Changed::Done(profile) => Ok(profile),
        profile::Changed::NoUser => Err(Error::UserNotFound),
        profile::Changed::Exceeded(exceeded) => Err(quota::refusal(exceeded, &limits)),
    }
}

/// Deletes the caller's account, and notifies the users concerned. The content of their messages is
/// erased afterwards.
///
/// # Errors
/// `LoginFailed`, if the key is not one of theirs.
pub(crate) async fn delete(call: &Call<'_>, apikey: &SecretHash) -> Result<(), Error> {
    let db = &call.services.db;
    if !store::credential::opens(db, call.user, apikey).await?
        || !store::deletion::delete(db, call.user, None, call.now).await?
    {
        return Err(Error::LoginFailed);
    }
    Ok(())
}

/// Revokes one of the caller's apikeys, and ends the stations that logged in with it. Idempotent.
///
/// # Errors
/// `NotAllowed` for a password or a recovery key, and for the last key that opens the login.
pub(crate) async fn revoke(call: &Call<'_>, credential: CredentialId) -> Result<(), Error> {
    match store::credential::revoke(&call.services.db, call.user, credential).await? {
        Revoked::Gone => Ok(()),
        Revoked::NotAnApikey => Err(Error::NotAllowed(
            "A password and a recovery key can be replaced, but not revoked.",
        )),
        Revoked::Last => Err(Error::NotAllowed(
            "You could no longer log in without this key. Add another one first.",
        )),
    }
}

/// Changes that are made together with a vault.
#[derive(Debug, Default)]
pub(crate) struct With<'a> {
    /// The new login key from the password, and how it is derived.
    pub password: Option<(&'a SecretHash, &'a Kdf)>,
    /// The new recovery key.
    pub recovery: Option<&'a SecretHash>,
    /// The new key for verifying signatures.
    pub public_key: Option<&'a PublicKey>,
    /// The caller's next card.
    pub card: Option<&'a SignedCard>,
    /// Whether to end all other stations.
    pub ends_others: bool,
}

/// Changes the caller's vault, and whatever goes with it, in one commit. Idempotent. Friends are
/// notified of new keys.
///
/// # Errors
/// `StaleVersion`, if the vault has this version or a newer one; `AlreadyExists`, if the key opens
/// another login; for the card, the same as `publish`; `UsedUp`.
pub(crate) async fn change_vault(
    call: &mut Call<'_>,
    vault: &EncryptedKey,
    version: VaultVersion,
    with: With<'_>,
) -> Result<(), Error> {
    let db = &call.services.db;
    let mut card = None;
    let mut friends = vec![];
    // A vault may be large, and friends are notified of a new card or key.
    rates::count_change(call)?;
    if with.card.is_some() || with.public_key.is_some() {
        let (present, seen_by) = store::card::owner(db, call.user)
            .await?
            .ok_or(Error::UserNotFound)?;
        friends = seen_by;
        if let Some(signed) = with.card {
            let present = PublicKey::parse(&present)
                .ok_or_else(|| Error::Internal("a user's public key does not parse".into()))?;
            let public_key = with.public_key.unwrap_or(&present);
            card = Some(keys::checked(call.services, call.user, public_key, signed)?);
        }
    }
    let change = Change {
        vault,
        version,
        password: with.password,
        recovery: with.recovery,
        public_key: with.public_key,
        card,
        end_all_but: with.ends_others.then_some(call.station),
    };
    match store::vault::change(db, call.user, change, call.now).await? {
        Changed::Done => {}
        Changed::Stale(present) => return Err(Error::StaleVersion(present)),
        Changed::Card(refused) => keys::published(refused)?,
        Changed::NoCard => {
            return Err(Error::BadRequest(
                "card must be given, as your newest one names the old key.".into(),
            ));
        }
        Changed::NoUser => return Err(Error::UserNotFound),
    }
    if with.card.is_some() || with.public_key.is_some() {
        call.outbox.push(Event::FriendChanged {
            friend: call.user,
            seen_by: friends.into_iter().chain([call.user]).collect(),
        });
    }
    Ok(())
}
