//! `srv=chatserver&api=chatavailability`: how available the caller is.

use serde::{Deserialize, Serialize};

/// What can be asked.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
