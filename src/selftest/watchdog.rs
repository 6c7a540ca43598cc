//! The watchdog ends a run that makes no progress, and reports what it waited for.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Interval of its checks.
const TICK: Duration = Duration::from_secs(1);

/// The next expected step, and its deadline.
#[derive(Debug)]
pub(super) struct Watchdog(Mutex<Expected>);

#[derive(Debug)]
struct Expected {
    what: String,
    since: Instant,
    within: Duration,
}

impl Watchdog {
    /// Expects this first.
    pub(super) fn new(what: &str, within: Duration) -> Self {
        Self(Mutex::new(Expected {
            what: what.to_owned(),
            since: Instant::now(),
            within,
        }))
    }

    /// The step before has come; expects this next.
    pub(super) fn expect(&self, what: impl Into<String>, within: Duration) {
        // A new deadline for each step: a long run is fine as long as it goes on.
        *self.locked() = Expected {
            what: what.into(),
            since: Instant::now(),
            within,
        };
    }

    /// Returns once the expected step is overdue, with a sentence that says so.
    pub(super) async fn watch(&self) -> String {
        loop {
            // Beside the run, and not in it: a run that waits for ever cannot look at the clock.
            tokio::time::sleep(TICK).await;
            if let Some(sentence) = self.overdue(Instant::now()) {
                return sentence;
            }
        }
    }

    fn overdue(&self, now: Instant) -> Option<String> {
        let Expected {
            what,
            since,
            within,
        } = &*self.locked();
        let waited = now.saturating_duration_since(*since);
        (waited > *within).then(|| {
            format!(
                "no progress: it has waited {:.0} s for {what}",
                waited.as_secs_f64()
            )
        })
    }

    fn locked(&self) -> MutexGuard<'_, Expected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_late_items_are_named() {
        let watchdog = Watchdog::new("the first", Duration::from_secs(10));
        let after = |seconds| Instant::now() + Duration::from_secs(seconds);
        assert_eq!(watchdog.overdue(after(9)), None);
        assert_eq!(
            watchdog.overdue(after(12)).as_deref(),
            Some("no progress: it has waited 12 s for the first")
        );
        watchdog.expect("the second", Duration::from_secs(30));
        assert_eq!(watchdog.overdue(after(12)), None);
        assert_eq!(
            watchdog.overdue(after(31)).as_deref(),
            Some("no progress: it has waited 31 s for the second")
        );
    }
}
