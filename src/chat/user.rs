//! Login, registration, and availability.

use aws_lc_rs::hmac;

use super::{Call, Services, error::Error};
use crate::{
    notify::event::Event,
    settings::Registration,
    store::{self, Db, credential::Revoked, rows::AccountRow, user::NewUser, vault::Changed},
};
use parlance_wire::{
    id::{CredentialId, StationId, UserId},
    kdf::{Argon2id, Kdf, Pbkdf2, SALT_BYTES, Salt},
    key::SecretHash,
    text::Email,
    time::Timestamp,
    word::Availability,
};

/// Maximum stations of a user; the one seen longest ago gives way.
// Not refused: a client that is installed again has a new station, and its user must be able to log in.
pub(crate) const MAX_STATIONS: i32 = 100;

/// Logs a user in, and binds the station to them. Idempotent.
///
/// # Errors
/// `LoginFailed`, in the same words and with the same work if the user does not exist: else one could find out who does.
pub(crate) async fn log_in(
    db: &Db,
    now: Timestamp,
    key: &SecretHash,
    claimed: Option<UserId>,
    station: StationId,
) -> Result<AccountRow, Error> {
    store::station::log_in(db, key, claimed, station, MAX_STATIONS, now)
        .await?
        .ok_or(Error::LoginFailed)
}

/// Deletes an apikey of the caller's, and ends the stations that logged in with it. Idempotent.
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
            "Without this key nobody could log in any more.",
        )),
    }
}

/// How the password of the user with this address is stretched. An address without a user is answered as a new account is,
/// with a salt that stays the same: who asks cannot tell the two apart.
///
/// # Errors
/// `Internal`, if what is kept is not what this version knows.
pub(crate) async fn prelogin(db: &Db, email: &Email) -> Result<Kdf, Error> {
    let row = store::vault::prelogin(db, UserId::of(email)).await?;
    // Also for a user who is there: the same work.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &row.secret);
    let tag = hmac::sign(&key, email.as_str().as_bytes());
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(&tag.as_ref()[..SALT_BYTES]);
    match (row.m, row.t, row.p, row.salt) {
        (Some(m), Some(t), Some(p), Some(salt)) => Argon2id::of_numbers(m, t, p, &salt)
            .map(Kdf::Argon2id)
            .ok_or_else(|| Error::Internal("the parameters of a password do not parse".into())),
        _ if row.is_user => Ok(Kdf::Pbkdf2(Pbkdf2::of(email))),
        _ => Ok(Kdf::Argon2id(Argon2id::recommended(Salt::new(salt)))),
    }
}

/// Changes the caller's account and its vault, in one commit. Idempotent. Friends hear of a new public key.
///
/// # Errors
/// `StaleVersion`, if the vault has this version or a newer one; `AlreadyExists`, if the key opens another login.
pub(crate) async fn change(
    call: &mut Call<'_>,
    change: &store::vault::Change<'_>,
) -> Result<(), Error> {
    let db = &call.services.db;
    match store::vault::change(db, call.user, change, call.now).await? {
        Changed::Stale(present) => return Err(Error::StaleVersion(present)),
        Changed::Done => {}
    }
    if change.public_key.is_some() {
        let friends = store::friend::friends_of(db, call.user).await?;
        call.outbox.push(Event::FriendChanged {
            friend: call.user,
            seen_by: friends.into_iter().map(|friend| friend.user_id).collect(),
        });
    }
    Ok(())
}

/// Stores a new user, if the operator allows registration.
///
/// # Errors
/// `RegistrationClosed`; `AlreadyExists` for a known address.
pub(crate) async fn register(
    services: &Services,
    now: Timestamp,
    user: &NewUser<'_>,
    invite: Option<&SecretHash>,
) -> Result<UserId, Error> {
    let invite = match services.policy.registration {
        Registration::Closed => {
            return Err(Error::RegistrationClosed(
                "Registration is closed on this server.",
            ));
        }
        Registration::Invite => Some(invite.ok_or(Error::RegistrationClosed(
            "Registration on this server requires an invitation.",
        ))?),
        // An invitation that is not needed is not used up.
        Registration::Open => None,
    };
    if store::user::insert(&services.db, user, invite, now).await? {
        // The id follows from the address, so that a client can compute the id of a friend.
        Ok(UserId::of(user.email))
    } else {
        Err(Error::RegistrationClosed(
            // The same for both: whoever guesses codes must not learn which ones existed.
            "This invitation is not valid, or was used already.",
        ))
    }
}

/// Sets the caller's availability. Friends hear of a change.
pub(crate) async fn set_availability(
    call: &mut Call<'_>,
    availability: Availability,
) -> Result<(), Error> {
    if let Some(friends) =
        store::user::set_availability(&call.services.db, call.user, availability).await?
    {
        call.outbox.push(Event::FriendChanged {
            friend: call.user,
            seen_by: friends,
        });
    }
    Ok(())
}
