//! How long messages and reports take from their OK to their readers, by channel, and calm stretches apart.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    channel::Channel,
    disturbances::Wait,
    findings::{Findings, Kind},
};

/// Latencies, by channel and calm or disturbed.
#[derive(Debug, Default)]
pub(super) struct Latencies(BTreeMap<(Channel, bool), Histogram<u64>>);

/// One channel's latencies, in calm or disturbed stretches.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    pub reader: Channel,
    /// Nothing disturbed the cluster meanwhile, nor shortly before.
    pub is_calm: bool,
    /// Number of rows.
    pub rows: u64,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    pub worst_ms: f64,
}

impl Latencies {
    /// Records how long a row took. More than `bound` of undisturbed time is a finding.
    pub(super) fn add(
        &mut self,
        reader: Channel,
        wait: Wait,
        bound: Duration,
        findings: &Findings,
        row: impl FnOnce() -> String,
    ) {
        let micros = u64::try_from(wait.whole.as_micros()).unwrap_or(u64::MAX);
        // Calm stretches apart: a restart takes seconds, and would hide what the server itself needs.
        if let Some(histogram) = self.0.get_mut(&(reader, wait.is_calm)) {
            histogram.saturating_record(micros);
        } else if let Ok(mut histogram) = Histogram::new_with_bounds(1, 3_600_000_000, 3) {
            histogram.saturating_record(micros);
            self.0.insert((reader, wait.is_calm), histogram);
        }
        // While a node is down nobody can be told in time: only undisturbed time counts against the bound.
        if wait.undisturbed > bound {
            let (whole, undisturbed) = (wait.whole.as_secs_f64(), wait.undisturbed.as_secs_f64());
            findings.add(Kind::Late, || {
                format!(
                    "{}: {whole:.1} s after its OK, {undisturbed:.1} s of them undisturbed",
                    row()
                )
            });
        }
    }

    /// The lines of the report.
    pub(super) fn lines(&self) -> Vec<Line> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the messages of a run are far below 2^52"
        )]
        let millis = |micros: u64| micros as f64 / 1000.0;
        let line = |((reader, is_calm), histogram): (&(Channel, bool), &Histogram<u64>)| Line {
            reader: *reader,
            is_calm: *is_calm,
            rows: histogram.len(),
            p50_ms: millis(histogram.value_at_quantile(0.5)),
            p99_ms: millis(histogram.value_at_quantile(0.99)),
            worst_ms: millis(histogram.max()),
        };
        self.0.iter().map(line).collect()
    }
}
