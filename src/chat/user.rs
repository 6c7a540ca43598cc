//! Login, registration, and availability.

use super::{Call, Services, error::Error};
use crate::{
    notify::event::Event,
    settings::Registration,
    store::{self, Db, rows::AccountRow, user::NewUser},
};
use parlance_wire::{
    id::{StationId, UserId},
    key::SecretHash,
    time::Timestamp,
    word::Availability,
};

/// Maximum stations of a user. Beyond it the one seen longest ago is removed.
// Not refused: a client that is installed again has a new station, and its user must be able to log in.
const MAX_STATIONS: i32 = 100;

/// Logs a user in, and binds the station to them. Idempotent.
///
/// # Errors
/// `LoginFailed`, in the same words and with the same work if the user does not exist: anyone could otherwise find out who does.
pub(crate) async fn log_in(
    db: &Db,
    now: Timestamp,
    key: &SecretHash,
    claimed: Option<UserId>,
    station: StationId,
) -> Result<AccountRow, Error> {
    store::user::log_in(db, key, claimed, station, MAX_STATIONS, now)
        .await?
        .ok_or(Error::LoginFailed)
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
            // The same for both: someone who guesses codes must not learn which ones existed.
            "This invitation is not valid, or was used already.",
        ))
    }
}

/// Sets the caller's availability. Friends are notified of a change.
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
