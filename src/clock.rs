//! The server's clock. Code whose result changes as time passes uses it if a test has to move that
//! time, so that the test can advance it by an hour instead of waiting. Intervals that no test has
//! to move are measured with `Instant::now()` directly. Code that waits for a peer or a timer uses
//! tokio's time, which a test cannot advance for the other side.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use parlance_wire::time::Timestamp;
use tokio::time::Instant;

/// A server's clock. All clones share their time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Microseconds by which a test has advanced it.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The wall-clock time, which may jump.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now().plus(TimeDelta::microseconds(self.ahead()))
    }

    /// The monotonic time.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now() + Duration::from_micros(self.ahead().unsigned_abs())
    }

    /// The time elapsed since `then`.
    #[must_use]
    pub fn since(&self, then: Instant) -> Duration {
        self.instant().duration_since(then)
    }

    /// Advances both clocks.
    pub fn advance(&self, by: Duration) {
        // A duration that does not fit is longer than anything that is waited for.
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.ahead.fetch_add(micros, Ordering::AcqRel);
    }

    fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advancing_the_clock_affects_both_clocks_and_all_clones() {
        let clock = Clock::default();
        let (now, instant, clone) = (clock.now(), clock.instant(), clock.clone());
        clone.advance(Duration::from_hours(1));
        assert!(clock.since(instant) >= Duration::from_hours(1));
        assert!(clock.now().distance(now) >= TimeDelta::hours(1));
    }
}
