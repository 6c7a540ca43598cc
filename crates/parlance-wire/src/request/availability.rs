//! `srv=chatserver&api=chatavailability`: the caller's availability.

use serde::{Deserialize, Serialize};

/// The actions of this API.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Page "Availability".
    UserAvailable,
    /// An extension: shows the user as away.
    UserAway,
    /// An extension: shows the user as busy.
    UserBusy,
    /// Ours: offline until the next socket is opened.
    UserOffline,
    /// Ours: offline for others, until something else is chosen.
    UserInvisible,
}
