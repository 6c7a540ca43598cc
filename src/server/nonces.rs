//! The nonces that each station has used, so that a v4 client's request cannot be replayed.

use std::time::Duration;

use chrono::TimeDelta;
use moka::{policy::EvictionPolicy, sync::Cache};

use parlance_wire::id::{StationId, UserId};

/// Maximum number of nonces that are remembered.
const MAX_NONCES: u64 = 1_000_000;
/// Maximum time that a nonce is remembered. A signature window of more than half of it means that
/// the operator does not want clocks checked.
const MAX_NONCE_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// The nonces that were used within the last two signature windows.
pub(super) struct Nonces(Cache<(UserId, StationId, String), ()>);

impl Nonces {
    /// Remembers each nonce for as long as its request could be replayed under this
    /// `SIGNATURE_WINDOW`.
    pub(super) fn new(window: TimeDelta) -> Self {
        // Twice the window: the client's clock may be one window ahead, and its request is valid
        // for one window after that.
        let lifetime = window
            .to_std()
            .unwrap_or(MAX_NONCE_LIFETIME)
            .saturating_mul(2)
            .min(MAX_NONCE_LIFETIME);
        Self(
            Cache::builder()
                // The default policy may reject a new entry in favor of one that was read often;
                // that nonce could be used again at once.
                .eviction_policy(EvictionPolicy::lru())
                .max_capacity(MAX_NONCES)
                .time_to_live(lifetime)
                .build(),
        )
    }

    /// Marks a nonce as used. Returns `false` if it was used before.
    pub(super) fn use_once(&self, user: UserId, station: StationId, nonce: &str) -> bool {
        // A single step instead of a look-up and an insertion: of two copies at the same moment,
        // one must be refused.
        self.0
            .entry((user, station, nonce.to_owned()))
            .or_insert(())
            .is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_request_is_good() {
        // A request whose clock is one window ahead is valid for one window after that.
        let nonces = Nonces::new(TimeDelta::minutes(5));
        assert_eq!(
            nonces.0.policy().time_to_live(),
            Some(Duration::from_mins(10))
        );
    }
}
