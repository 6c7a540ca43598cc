//! Schedules the purge of rows that nobody can read any more: every minute, once the clock has been
//! steady for an hour. Only rows that were stored long enough ago are purged, measured by the time
//! that servers have run.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;

use super::state::State;
use crate::{store, telemetry::with_causes};
use parlance_wire::time::Timestamp;

/// Maximum clock correction per round that does not count as a jump.
const CORRECTION: TimeDelta = TimeDelta::minutes(1);
/// How long a clock has to run steadily, after a jump or the start, before it is trusted.
// With a wrong clock, everything would be purged at once.
const PROBATION: Duration = Duration::from_hours(1);

/// Compares the wall clock, which can be set, with the monotonic one.
struct Watch {
    seen: (Instant, Timestamp),
    /// The last jump, or the beginning of the watch.
    steady: Instant,
    jumps: Counter,
}

impl Watch {
    fn new(instant: Instant, now: Timestamp, jumps: Counter) -> Self {
        Self {
            seen: (instant, now),
            steady: instant,
            jumps,
        }
    }

    /// Compares both clocks. Returns `true` if the wall clock can be trusted.
    fn trusts(&mut self, instant: Instant, now: Timestamp) -> bool {
        let (then, was) = std::mem::replace(&mut self.seen, (instant, now));
        // A duration that does not fit a `TimeDelta` counts as a jump, which only keeps rows.
        let expected =
            was.plus(TimeDelta::from_std(instant.duration_since(then)).unwrap_or_default());
        if now.distance(expected) > CORRECTION {
            tracing::warn!(
                "the clock jumped from {expected} to {now}; expired messages are kept for an hour"
            );
            self.steady = instant;
            self.jumps.inc();
        }
        instant.duration_since(self.steady) > PROBATION
    }
}

/// Records in each round that a server is running.
// In a task of its own, as a purge may take longer than a round.
pub(super) async fn note(state: Arc<State>) {
    let mut clock = tokio::time::interval(state.settings.timings.purge);
    loop {
        clock.tick().await;
        if let Err(error) = store::purge::note_run(&state.services.db).await {
            tracing::debug!(
                error = with_causes(&error),
                "the time that servers run was not recorded; the next round tries again"
            );
        }
    }
}

/// Purges in each round, until the server ends.
pub(super) async fn run(state: Arc<State>) {
    let mut clock = tokio::time::interval(state.settings.timings.purge);
    let time = &state.settings.clock;
    let jumps = state.metrics.clock_jumps.clone();
    let mut watch = Watch::new(time.instant(), time.now(), jumps);
    let mut searched = None;
    loop {
        clock.tick().await;
        // Independent of the clock: rows of earlier instances are found by number, not by time.
        match store::purge::cleared(&state.services.db).await {
            Ok(rows) => state.metrics.count_purged("cleared", rows),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "cleared rows were not deleted; the next round tries again"
            ),
        }
        if let Err(error) = store::purge::empty_groups(&state.services.db, &mut searched).await {
            tracing::warn!(
                error = with_causes(&error),
                "groups that nobody takes part in were not deleted; the next round tries again"
            );
        }
        if let Err(error) = store::list::prune(&state.services.db).await {
            tracing::debug!(
                error = with_causes(&error),
                "changes of lists were not pruned; the next round tries again"
            );
        }
        let kept_since = store::purge::kept_since(&state.services.db, state.settings.expiry_grace)
            .await
            .unwrap_or_else(|error| {
                tracing::warn!(
                    error = with_causes(&error),
                    "expired messages are not deleted; the next round tries again"
                );
                None
            });
        let now = time.now();
        if !watch.trusts(time.instant(), now) {
            continue;
        }
        if let Err(error) = store::file::abandoned(&state.services.db, now).await {
            tracing::warn!(
                error = with_causes(&error),
                "files without a message were not deleted; the next round tries again"
            );
        }
        if let Some(kept_since) = kept_since {
            let ended_before = expiry_cutoff(now, state.settings.expiry_grace).min(kept_since);
            match store::purge::expired(&state.services.db, ended_before).await {
                Ok(rows) => {
                    state.metrics.count_purged("expired", rows);
                    state.metrics.purged();
                }
                Err(error) => tracing::warn!(
                    error = with_causes(&error),
                    "expired messages were not deleted; the next round tries again"
                ),
            }
        }
    }
}

/// Erases the messages of deleted accounts, immediately after a deletion on this node and in each
/// round.
pub(super) async fn erase(state: Arc<State>) {
    let mut clock = tokio::time::interval(state.settings.timings.purge);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = state.erasure.notified() => {}
        }
        match store::erasure::run(&state.services.db).await {
            Ok(rows) => state.metrics.count_purged("erased", rows),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "messages of deleted accounts were not erased; the next round tries again"
            ),
        }
    }
}

/// Deletes the records of deleted files, immediately after a deletion on this node and in each round.
pub(super) async fn files(state: Arc<State>) {
    let mut clock = tokio::time::interval(state.settings.timings.purge);
    loop {
        tokio::select! {
            _ = clock.tick() => {}
            () = state.services.files.wait_for_deleted() => {}
        }
        let unfinished = state.settings.timings.file_unfinished;
        let stores = state.services.files.stores();
        match store::file::drain(&state.services.db, stores, unfinished).await {
            Ok(rows) => state.metrics.count_purged("files", rows),
            Err(error) => tracing::warn!(
                error = with_causes(&error),
                "the records of deleted files were not deleted; the next round tries again"
            ),
        }
    }
}

/// Messages that ended before this are purged. [`run`] also keeps those that were stored too
/// recently.
fn expiry_cutoff(now: Timestamp, grace: TimeDelta) -> Timestamp {
    now.plus(-grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_expired_before_the_grace_period_are_purged() {
        let now = Timestamp::parse("2024-03-15 11:50:45").unwrap();
        assert_eq!(
            expiry_cutoff(now, TimeDelta::days(7)).to_string(),
            "2024-03-08 11:50:45"
        );
        assert_eq!(
            expiry_cutoff(now, TimeDelta::minutes(1)).to_string(),
            "2024-03-15 11:49:45"
        );
        // With the longest grace, the result is still a year that can be written, and nothing is
        // purged.
        assert!(
            expiry_cutoff(now, TimeDelta::days(365_250))
                < Timestamp::parse("1100-01-01 00:00:00").unwrap()
        );
    }

    #[test]
    fn a_clock_is_trusted_once_it_has_not_jumped_for_an_hour() {
        let (start, noon) = (Instant::now(), Timestamp::now());
        let minutes = |n: u64| {
            (
                start + Duration::from_mins(n),
                noon.plus(TimeDelta::minutes(i64::try_from(n).unwrap())),
            )
        };
        let mut watch = Watch::new(start, noon, Counter::default());
        let mut looks = |(instant, now): (Instant, Timestamp), off: TimeDelta| {
            watch.trusts(instant, now.plus(off))
        };
        // It has not been watched for long enough yet.
        assert!(
            !looks(minutes(0), TimeDelta::zero()) && !looks(minutes(60), TimeDelta::seconds(59))
        );
        assert!(looks(minutes(61), TimeDelta::zero()));
        for (jump, days) in [(70, 400), (140, -400)] {
            let off = TimeDelta::days(days);
            assert!(!looks(minutes(jump), off) && !looks(minutes(jump + 60), off));
            assert!(looks(minutes(jump + 61), off));
        }
    }
}
