//! When to delete what nobody can read any more: every minute, while the clock can be trusted.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::TimeDelta;

use super::State;
use crate::{model::time::Timestamp, store};

const ROUND: Duration = Duration::from_mins(1);
/// The clock may be corrected by so much within a round.
const CORRECTION: TimeDelta = TimeDelta::minutes(1);
/// A clock that jumped is watched for so long: a wrong one would have everything deleted at once.
const PROBATION: Duration = Duration::from_hours(1);

/// Whether the clock on the wall goes as the one that only ever counts.
struct Watch {
    seen: (Instant, Timestamp),
    jumped: Option<Instant>,
}

impl Watch {
    fn new(instant: Instant, now: Timestamp) -> Self {
        Self { seen: (instant, now), jumped: None }
    }

    /// Looks at both. Whether the time can be believed.
    fn trusts(&mut self, instant: Instant, now: Timestamp) -> bool {
        let (then, was) = std::mem::replace(&mut self.seen, (instant, now));
        let expected = was.plus(TimeDelta::from_std(instant.duration_since(then)).unwrap_or_default());
        if now.distance(expected) > CORRECTION {
            tracing::warn!("the clock jumped from {expected} to {now}; expired messages are kept for an hour");
            self.jumped = Some(instant);
        }
        self.jumped.is_none_or(|jumped| instant.duration_since(jumped) > PROBATION)
    }
}

/// Deletes, round by round.
pub async fn run(state: Arc<State>) {
    let mut clock = tokio::time::interval(ROUND);
    let mut watch = Watch::new(Instant::now(), Timestamp::now());
    loop {
        clock.tick().await;
        if let Err(error) = store::purge::cleared(&state.db).await {
            tracing::warn!(%error, "cleared rows were not deleted; the next round tries again");
        }
        let now = Timestamp::now();
        if watch.trusts(Instant::now(), now) {
            let ended_before = now.plus(-state.settings.expiry_grace);
            if let Err(error) = store::purge::expired(&state.db, ended_before).await {
                tracing::warn!(%error, "expired messages were not deleted; the next round tries again");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumped_is_not_believed_for_an_hour() {
        let (start, noon) = (Instant::now(), Timestamp::now());
        let minutes = |n: u64| (start + Duration::from_mins(n), noon.plus(TimeDelta::minutes(i64::try_from(n).unwrap())));
        let mut watch = Watch::new(start, noon);
        let mut looks = |(instant, now): (Instant, Timestamp), off: TimeDelta| watch.trusts(instant, now.plus(off));
        assert!(looks(minutes(1), TimeDelta::zero()));
        assert!(looks(minutes(2), TimeDelta::seconds(59)));
        for days in [400, -400] {
            let jump = if days > 0 { minutes(3) } else { minutes(70) };
            assert!(!looks(jump, TimeDelta::days(days)));
        }
        let off = TimeDelta::days(-400);
        assert!(!looks(minutes(71), off) && !looks(minutes(130), off));
        assert!(looks(minutes(131), off));
    }
}
