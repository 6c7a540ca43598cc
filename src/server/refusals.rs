//! Decides which refusals are logged: the first of each address and outcome. Repetitions are
//! counted and logged as a sum once a minute, so that a flood of them does not fill the disk.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{address::network, state::State};

/// Maximum pairs of address and outcome that are counted separately: about 100 KB.
const MAX_COUNTED: usize = 1000;

/// The refusals since the last summary.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Number of repetitions, by network and outcome.
    repeated: HashMap<(IpAddr, &'static str), u64>,
    /// Repetitions of further addresses, once there are [`MAX_COUNTED`] pairs.
    others: u64,
}

impl Refusals {
    /// Counts a refusal. Returns `true` if it has to be logged.
    pub(super) fn is_first(&self, address: IpAddr, outcome: &'static str) -> bool {
        let mut counts = self.locked();
        let key = (network(address), outcome);
        if let Some(repeated) = counts.repeated.get_mut(&key) {
            *repeated += 1;
            return false;
        }
        if counts.repeated.len() >= MAX_COUNTED {
            counts.others += 1;
            return false;
        }
        counts.repeated.insert(key, 0);
        true
    }

    /// Logs the counts since the last summary.
    pub(super) fn log_summary(&self) {
        // Logged after the lock is released, as the log may be a slow disk.
        let Counts { repeated, others } = std::mem::take(&mut *self.locked());
        for ((address, outcome), times) in repeated {
            if times > 0 {
                tracing::info!(outcome, %address, times, "refused again");
            }
        }
        if others > 0 {
            tracing::info!(times = others, "refused, from further addresses");
        }
    }

    fn locked(&self) -> MutexGuard<'_, Counts> {
        // A panic while the lock is held cannot leave a count half-changed, so a poisoned lock is
        // still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs summaries, until the server ends.
pub(super) async fn run(state: Arc<State>) {
    let mut clock = tokio::time::interval(state.settings.timings.refusal_summary);
    loop {
        clock.tick().await;
        state.refusals.log_summary();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_from_many_addresses_takes_bounded_memory_and_lines() {
        let refusals = Refusals::default();
        let logged = (0..5000_u32)
            .filter(|n| refusals.is_first(IpAddr::from(n.to_be_bytes()), "login_failed"))
            .count();
        assert_eq!(logged, MAX_COUNTED);
        assert_eq!(refusals.locked().repeated.len(), MAX_COUNTED);
        refusals.log_summary();
        assert!(refusals.is_first(IpAddr::from([0, 0, 0, 1]), "login_failed"));
    }

    #[test]
    fn another_address_or_outcome_is_logged_beside_a_flood() {
        let (refusals, [bad, good]) = (
            Refusals::default(),
            [IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2])],
        );
        assert!(refusals.is_first(bad, "signature_invalid"));
        assert!((0..100).all(|_| !refusals.is_first(bad, "signature_invalid")));
        assert!(
            refusals.is_first(bad, "rate_limited") && refusals.is_first(good, "signature_invalid")
        );
    }
}
