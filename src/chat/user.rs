//! Login, registration, and availability.

use std::{net::IpAddr, time::Duration};

use super::{
    Call, Services, allowance,
    error::{self, Error},
    keys, rates,
};
use crate::{
    notify::event::Event,
    settings::{PerUser, Registration},
    store::{
        self,
        registration::{Admission, NewUser, Registered},
        rows::AccountRow,
        station::Arriving,
    },
};
use parlance_wire::{
    id::UserId,
    kdf::Kdf,
    key::SecretHash,
    text::Email,
    time::Timestamp,
    word::{Availability, ChosenAvailability},
};

/// Maximum stations of a user. Beyond it, the one that was seen longest ago is removed.
// Not refused: a reinstalled client has a new station, and its user must be able to log in.
pub(crate) const MAX_STATIONS: i32 = 100;

/// Logs a user in, and binds the station to them. Idempotent.
///
/// # Errors
/// `LoginFailed`, with the same words and the same work if the user does not exist: otherwise
/// anyone could find out who does. `UsedUp`, if too many new stations logged in today.
pub(crate) async fn log_in(
    services: &Services,
    now: Timestamp,
    key: &SecretHash,
    claimed: Option<UserId>,
    arriving: Arriving<'_>,
) -> Result<AccountRow, Error> {
    let usual = &services.policy.per_user;
    let account = store::station::log_in(
        &services.db,
        key,
        claimed,
        arriving,
        MAX_STATIONS,
        usual,
        now,
    )
    .await?
    .ok_or(Error::LoginFailed)?;
    if !account.is_admitted {
        return Err(Error::UsedUp(
            "Too many new devices have logged in to this account today. Use one that has logged in before, or try again after midnight UTC."
                .to_owned(),
            Duration::from_secs(account.seconds_left.unsigned_abs()),
        ));
    }
    Ok(account)
}

/// The limits of a user who has just logged in.
///
/// # Errors
/// `LoginFailed`, if the account was deleted meanwhile; database errors.
pub(crate) async fn limits(
    services: &Services,
    user: UserId,
    now: Timestamp,
) -> Result<PerUser, Error> {
    let identity = store::user::identity(&services.db, user, None, now)
        .await?
        .ok_or(Error::LoginFailed)?;
    Ok(allowance::of(
        &services.policy.per_user,
        &identity.allowance,
    ))
}

/// How the password of the user with this address is turned into keys. For an address without a
/// user, the answer looks like that of an account, always with the same salt, and takes the same
/// work, so that the two cannot be told apart.
pub(crate) async fn prelogin(services: &Services, email: &Email) -> Result<Kdf, Error> {
    let identity = &services.identity;
    let kdfs = store::vault::kdfs(&services.db, UserId::of(email), &identity.sample(email)).await?;
    // An address without an account has the parameters of an account picked by the address: each
    // form is as frequent among these addresses as among accounts, so that none tells of an account.
    Ok(kdfs.own.unwrap_or_else(|| {
        kdfs.sample.map_or_else(
            || Kdf::recommended(identity.stand_in_salt(email)),
            |sample| sample.with_salt(identity.stand_in_salt(email)),
        )
    }))
}

/// Stores a new user if registration is open to them, or gives a user a new identity if an operator
/// invited them to that. An invitation's inviter becomes a friend. `address` is the client's, for
/// the audit log.
///
/// # Errors
/// `RegistrationClosed`; `AlreadyExists` for a known address.
pub(crate) async fn register(
    services: &Services,
    outbox: &mut Vec<Event>,
    user: &NewUser<'_>,
    code: Option<&SecretHash>,
    address: IpAddr,
    now: Timestamp,
) -> Result<UserId, Error> {
    let admission = match services.policy.registration {
        Registration::Closed => Admission::Known,
        Registration::Invite => Admission::Invited,
        Registration::Open => Admission::Anyone,
    };
    let origin = address.to_string();
    let registered =
        store::registration::register(&services.db, user, code, admission, &origin, now).await?;
    // The id is derived from the address, so that a client can compute the id of a friend.
    let user_id = UserId::of(user.email);
    match registered {
        Registered::Done { seen_by } => {
            outbox.push(Event::FriendChanged {
                friend: user_id,
                seen_by,
            });
            Ok(user_id)
        }
        Registered::Exists => Err(Error::AlreadyExists(error::TAKEN)),
        Registered::Card(refused) => {
            keys::published(refused)?;
            Err(Error::Internal(
                "a card was refused that was published".into(),
            ))
        }
        Registered::NotInvited => Err(Error::RegistrationClosed(match (admission, code) {
            (Admission::Known, _) => "Registration is closed on this server.",
            (_, None) => "Registration on this server requires an invitation.",
            // The same sentence for all: somebody who guesses codes must not learn which ones
            // exist, nor for which address.
            (_, Some(_)) => "This invitation is not valid, or was used already.",
        })),
    }
}

/// Sets the caller's availability, and what their next socket makes of it, if they chose that.
/// Friends are notified of a change, and the caller's other stations of another choice.
///
/// # Errors
/// `UsedUp`.
pub(crate) async fn set_availability(
    call: &mut Call<'_>,
    availability: Availability,
    chosen: Option<ChosenAvailability>,
) -> Result<(), Error> {
    rates::count_presence_change(call)?;
    let seen_by =
        store::user::set_availability(&call.services.db, call.user, availability, chosen).await?;
    if !seen_by.is_empty() {
        call.outbox.push(Event::FriendChanged {
            friend: call.user,
            seen_by,
        });
    }
    Ok(())
}
