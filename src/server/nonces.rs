//! The nonces that each station has used, so that a v4 client's request cannot be replayed.

use std::{
    collections::HashSet,
    fmt,
    hash::{BuildHasher, RandomState},
    mem,
    time::Duration,
};

use chrono::TimeDelta;
use tokio::time::Instant;

use crate::{chat::buckets::KeyedState, clock::Clock};
use parlance_wire::id::{StationId, UserId};

/// Maximum nonces of a user that are remembered for certain; at most twice as many are. Each user has a
/// share, as one who sends very many would otherwise make those of others forgotten.
const MAX_PER_USER: usize = 20_000;
/// Maximum time that a nonce is remembered. A signature window of more than half of it means that
/// the operator does not want clocks checked.
const MAX_NONCE_LIFETIME: Duration = Duration::from_hours(24 * 365);

/// The nonces that were used within the last two signature windows.
pub(super) struct Nonces {
    lifetime: Duration,
    clock: Clock,
    by_user: KeyedState<UserId, Used>,
    hasher: RandomState,
}

/// The nonces of a user, as hashes with a secret key: a nonce that was not used is refused once in 2^48
/// requests at most.
struct Used {
    /// The nonces used since `since`.
    recent: HashSet<u64>,
    since: Instant,
    /// The nonces used before that.
    before: HashSet<u64>,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

impl Nonces {
    /// Remembers each nonce for as long as its request could be replayed under this
    /// `SIGNATURE_WINDOW`.
    pub(super) fn new(window: TimeDelta, clock: &Clock) -> Self {
        // Twice the window: the client's clock may be one window ahead, and its request is valid
        // for one window after that.
        let lifetime = window
            .to_std()
            .unwrap_or(MAX_NONCE_LIFETIME)
            .saturating_mul(2)
            .min(MAX_NONCE_LIFETIME);
        Self {
            lifetime,
            clock: clock.clone(),
            by_user: KeyedState::new(lifetime),
            hasher: RandomState::new(),
        }
    }

    /// Marks a nonce as used. Returns `false` if it was used before.
    pub(super) fn use_once(&self, user: UserId, station: StationId, nonce: &str) -> bool {
        let now = self.clock.instant();
        let hash = self.hasher.hash_one((station, nonce));
        let new = || Used {
            recent: HashSet::new(),
            since: now,
            before: HashSet::new(),
        };
        // Under one lock: of two copies at the same moment, one must be refused.
        self.by_user.with(user, new, |used| {
            let age = now.saturating_duration_since(used.since);
            if age >= self.lifetime || used.recent.len() >= MAX_PER_USER {
                used.before = mem::take(&mut used.recent);
                // All of them were used more than a lifetime ago, and cannot be replayed any more.
                if age >= self.lifetime.saturating_mul(2) {
                    used.before = HashSet::new();
                }
                used.since = now;
            }
            !used.before.contains(&hash) && used.recent.insert(hash)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> (UserId, UserId, StationId) {
        let id = |digit: &str| digit.repeat(32);
        (
            UserId::parse(&id("1")).unwrap(),
            UserId::parse(&id("2")).unwrap(),
            StationId::parse(&id("3")).unwrap(),
        )
    }

    #[test]
    fn a_nonce_is_remembered_for_as_long_as_its_request_is_good() {
        // A request whose clock is one window ahead is valid for one window after that.
        let clock = Clock::default();
        let nonces = Nonces::new(TimeDelta::minutes(5), &clock);
        let (ann, _, station) = ids();
        let after = |minutes, nonce| {
            clock.advance(Duration::from_mins(minutes));
            nonces.use_once(ann, station, nonce)
        };
        assert!(after(0, "first") && after(9, "one") && after(1, "two"));
        assert!(!after(8, "one") && !after(1, "two"));
        // In the end nothing of it is kept.
        assert!(after(41, "three") && after(0, "one"));
    }

    #[test]
    fn one_who_sends_very_many_requests_makes_nobody_elses_forgotten() {
        let nonces = Nonces::new(TimeDelta::minutes(5), &Clock::default());
        let (ann, ben, station) = ids();
        assert!(nonces.use_once(ann, station, "captured"));
        for n in 0..3 * MAX_PER_USER {
            assert!(nonces.use_once(ben, station, &n.to_string()));
        }
        assert!(!nonces.use_once(ann, station, "captured"));
        let newest = (3 * MAX_PER_USER - MAX_PER_USER).to_string();
        assert!(!nonces.use_once(ben, station, &newest));
        // His own share is bounded.
        assert!(nonces.use_once(ben, station, "0"));
    }
}
