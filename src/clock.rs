//! What time it is. Whatever compares moments asks this clock, so that a test can let an hour pass without waiting
//! for it. What waits for a peer or a timer uses tokio's time: nobody can put that forward for the other side.

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

/// The clock of a server. Its clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Microseconds that a test has let pass.
    ahead: Arc<AtomicI64>,
}

impl Clock {
    /// The present moment by the clock on the wall, which may jump.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::now().plus(TimeDelta::microseconds(self.ahead()))
    }

    /// The present moment by the clock that only ever counts.
    #[must_use]
    pub fn instant(&self) -> Instant {
        Instant::now() + Duration::from_micros(self.ahead().unsigned_abs())
    }

    /// How long ago that was.
    #[must_use]
    pub fn since(&self, then: Instant) -> Duration {
        self.instant().duration_since(then)
    }

    /// Lets time pass at once, on both clocks.
    pub fn advance(&self, by: Duration) {
        // A span that does not fit is longer than any that is waited for.
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
    fn time_that_is_let_pass_has_passed_on_both_clocks_and_all_clones() {
        let clock = Clock::default();
        let (now, instant, clone) = (clock.now(), clock.instant(), clock.clone());
        clone.advance(Duration::from_hours(1));
        assert!(clock.since(instant) >= Duration::from_hours(1));
        assert!(clock.now().distance(now) >= TimeDelta::hours(1));
    }
}
