//! `srv=chatserver&api=chatavailability`: the caller's availability.

use super::answer::{self, Nothing};
use crate::chat::{self, Call, error::Error};
use parlance_wire::{request::availability::Action, word::Availability};

/// Performs an action.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let availability = match action {
        Action::UserAvailable => Availability::Available,
        Action::UserAway => Availability::Away,
        Action::UserBusy => Availability::Busy,
        Action::UserOffline => Availability::Offline,
    };
    chat::user::set_availability(call, availability).await?;
    answer::ok(Nothing {})
}
