//! `srv=chatserver&api=chatavailability`: how available the caller is.

use serde::Deserialize;

use super::answer::{self, Nothing};
use crate::chat::{self, Call, error::Error};

/// What can be asked.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the fields are those of the pages")]
#[expect(clippy::enum_variant_names, reason = "the wire names them so")]
pub enum Action {
    /// Page "Availability".
    UserAvailable,
    /// Ours.
    UserAway,
    /// Ours.
    UserBusy,
    /// Ours.
    UserOffline,
}

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
