//! `srv=chatserver&api=chatavailability`: the caller's availability.

use super::answer::{self, Nothing};
use crate::chat::{self, Call, error::Error};
use parlance_wire::{
    request::availability::Action,
    word::{Availability, ChosenAvailability},
};

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let (availability, chosen) = match action {
        Action::UserAvailable => (Availability::Available, Some(ChosenAvailability::Available)),
        Action::UserAway => (Availability::Away, Some(ChosenAvailability::Away)),
        Action::UserBusy => (Availability::Busy, Some(ChosenAvailability::Busy)),
        Action::UserOffline => (Availability::Offline, None),
        Action::UserInvisible => (Availability::Offline, Some(ChosenAvailability::Invisible)),
    };
    chat::user::set_availability(call, availability, chosen).await?;
    answer::ok(Nothing {})
}
