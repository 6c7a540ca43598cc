//! How long messages and reports take from their OK to whoever reads them, by the kind of reader, and apart for calm
//! stretches.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{
    channel::Channel,
    disturbances::Wait,
    findings::{Findings, Kind},
};

/// Times, by reader and whether it was calm.
#[derive(Debug, Default)]
pub(super) struct Latencies(BTreeMap<(Channel, bool), Histogram<u64>>);

/// Of one kind of reader, in one kind of stretch.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    /// How it reads.
    pub reader: Channel,
    /// Whether nothing was done to the cluster meanwhile, and a little before.
    pub is_calm: bool,
    /// How many rows.
    pub rows: u64,
    /// Half took no longer, in milliseconds.
    pub p50_ms: f64,
    /// Of a hundred, 99 took no longer.
    pub p99_ms: f64,
    pub worst_ms: f64,
}

impl Latencies {
    /// A row was waited for so long. More than the bound, undisturbed, is a finding.
    pub(super) fn add(
        &mut self,
        reader: Channel,
        wait: Wait,
        bound: Duration,
        findings: &Findings,
        row: impl FnOnce() -> String,
    ) {
        let micros = u64::try_from(wait.whole.as_micros()).unwrap_or(u64::MAX);
        if let Some(histogram) = self.0.get_mut(&(reader, wait.is_calm)) {
            histogram.saturating_record(micros);
        } else if let Ok(mut histogram) = Histogram::new_with_bounds(1, 3_600_000_000, 3) {
            histogram.saturating_record(micros);
            self.0.insert((reader, wait.is_calm), histogram);
        }
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

    /// What is told of them.
    pub(super) fn lines(&self) -> Vec<Line> {
        #[allow(clippy::cast_precision_loss)]
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
