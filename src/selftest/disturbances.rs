//! When something kept clients waiting. Of the time that a client waited, only the undisturbed part is the server's
//! responsibility.

use std::time::{Duration, Instant};

/// Time after a disturbance until it counts as calm again.
const CALM: Duration = Duration::from_secs(2);

/// Spans of time in which something was done to nodes, database or NATS, in their order.
#[derive(Debug, Clone, Default)]
pub(super) struct Disturbances(Vec<Span>);

#[derive(Debug, Clone, Copy)]
struct Span {
    begun: Instant,
    /// `None` while it lasts.
    ended: Option<Instant>,
}

/// How long a client waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub whole: Duration,
    /// The undisturbed part of it.
    pub undisturbed: Duration,
    /// There was no disturbance meanwhile, nor shortly before.
    pub is_calm: bool,
}

impl Disturbances {
    /// Begins a disturbance, unless one lasts.
    pub(super) fn begin(&mut self, at: Instant) {
        if self.0.last().is_none_or(|last| last.ended.is_some()) {
            self.0.push(Span {
                begun: at,
                ended: None,
            });
        }
    }

    /// Ends the present disturbance.
    pub(super) fn end(&mut self, at: Instant) {
        if let Some(last) = self.0.last_mut() {
            last.ended.get_or_insert(at);
        }
    }

    /// The undisturbed time between two moments, in total.
    pub(super) fn undisturbed(&self, from: Instant, to: Instant) -> Duration {
        let within = |span: &Span| {
            span.ended
                .map_or(to, |ended| ended.min(to))
                .saturating_duration_since(span.begun.max(from))
        };
        // The parts are added up, and not only the last one counted: frequent faults must not hide a delay for ever.
        let disturbed: Duration = self.since(from).map(within).sum();
        to.saturating_duration_since(from).saturating_sub(disturbed)
    }

    /// For how long there has been no disturbance. `None` while one lasts.
    pub(super) fn calm_for(&self, since: Instant, now: Instant) -> Option<Duration> {
        match self.0.last() {
            None => Some(now.saturating_duration_since(since)),
            Some(last) => last
                .ended
                .map(|ended| now.saturating_duration_since(ended.max(since))),
        }
    }

    /// How long a client waited from one moment to another.
    pub(super) fn wait(&self, from: Instant, to: Instant) -> Wait {
        // Also a little before: what a fault has delayed is late a moment longer.
        let is_calm = from
            .checked_sub(CALM)
            .is_none_or(|before| self.since(before).all(|span| span.begun > to));
        Wait {
            whole: to.saturating_duration_since(from),
            undisturbed: self.undisturbed(from, to),
            is_calm,
        }
    }

    /// The spans that had not ended by then.
    fn since(&self, moment: Instant) -> impl Iterator<Item = &Span> {
        // From the newest back: spans are in order, so once one has ended, all before it have.
        self.0
            .iter()
            .rev()
            .take_while(move |span| span.ended.is_none_or(|ended| ended > moment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_undisturbed_parts_of_a_wait_are_added_up() {
        let zero = Instant::now() + Duration::from_hours(1);
        let at = |seconds: u64| zero + Duration::from_secs(seconds);
        let seconds = Duration::from_secs;
        let mut disturbances = Disturbances::default();
        assert_eq!(disturbances.undisturbed(at(0), at(7)), seconds(7));
        // 10 to 20, 22 to 30, and from 40 on.
        for (begun, ended) in [(10, 20), (22, 30)] {
            disturbances.begin(at(begun));
            disturbances.begin(at(begun + 1));
            disturbances.end(at(ended));
            disturbances.end(at(ended + 1));
        }
        disturbances.begin(at(40));
        for ((from, to), undisturbed) in [
            ((0, 10), 10),
            ((0, 15), 10),
            ((12, 18), 0),
            ((15, 25), 2),
            ((0, 35), 17),
            ((20, 22), 2),
            ((31, 39), 8),
            ((0, 100), 22),
            ((50, 60), 0),
            ((5, 5), 0),
        ] {
            assert_eq!(
                disturbances.undisturbed(at(from), at(to)),
                seconds(undisturbed),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn an_interval_is_calm_without_disturbances_in_it_or_shortly_before() {
        let zero = Instant::now() + Duration::from_hours(1);
        let at = |seconds: u64| zero + Duration::from_secs(seconds);
        let mut disturbances = Disturbances::default();
        assert_eq!(
            disturbances.calm_for(at(1), at(4)),
            Some(Duration::from_secs(3))
        );
        disturbances.begin(at(10));
        assert_eq!(disturbances.calm_for(at(0), at(12)), None);
        disturbances.end(at(20));
        assert_eq!(
            disturbances.calm_for(at(0), at(25)),
            Some(Duration::from_secs(5))
        );
        assert_eq!(
            disturbances.calm_for(at(23), at(25)),
            Some(Duration::from_secs(2))
        );
        for ((from, to), is_calm) in [
            ((0, 9), true),
            ((0, 11), false),
            ((15, 16), false),
            ((21, 23), false),
            ((23, 24), true),
        ] {
            assert_eq!(
                disturbances.wait(at(from), at(to)).is_calm,
                is_calm,
                "{from} to {to}"
            );
        }
    }
}
