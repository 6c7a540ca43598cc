//! `srv=chatserver&api=chatavailability`: how available the caller is.

use super::answer::{self, Nothing};
use crate::chat::{self, Call, error::Error};
use parlance_wire::request::availability::Action;

/// Does what is asked.
pub(crate) async fn perform(call: &mut Call<'_>, action: Action) -> Result<Vec<u8>, Error> {
    let availability = match action {
        Action::UserAvailable => "available",
        Action::UserAway => "away",
        Action::UserBusy => "busy",
        Action::UserOffline => "offline",
    };
    chat::user::set_availability(call, availability).await?;
    answer::ok(Nothing {})
}
