//! The verdict: what was done, what was found, and the latencies.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::Serialize;

use super::{
    faults::Fault,
    findings::{Found, Kind},
    latency::Line,
    quiet::Ending,
};

/// The outcome of one setting.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub setting: &'static str,
    /// Messages that were answered OK.
    pub messages: usize,
    /// The encrypted ones among them, which readers opened.
    pub sealed: usize,
    /// Requests that were sent again.
    pub retries: usize,
    /// Reports that were answered OK.
    pub reports: usize,
    /// Conversations that were cleared.
    pub clears: usize,
    /// Members that were removed.
    pub removals: usize,
    /// Epochs that began, with or without removals and additions.
    pub epochs: usize,
    /// Polls that were hung up on before their answer.
    pub lost_polls: usize,
    /// The faults that were struck.
    pub faults: BTreeMap<Fault, usize>,
    /// The faults that could not be struck, and why.
    pub not_struck: BTreeMap<String, usize>,
    /// Rounds of last words, by how the node ended that answered them.
    pub quiet_rounds: BTreeMap<Ending, usize>,
    /// Latencies from OK to held.
    pub latencies: Vec<Line>,
    /// Maximum lag of the test itself, in milliseconds.
    pub own_lag_ms: u64,
    pub findings: BTreeMap<Kind, Found>,
    /// Writing time in seconds.
    pub seconds: f64,
    /// The directory with logs and database, if something was found.
    pub evidence: Option<PathBuf>,
}

/// The outcome of all settings.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// All promises were kept.
    pub is_good: bool,
    /// The seed of all random choices.
    pub seed: u64,
    /// Messages that were answered OK, in all.
    pub messages: usize,
    /// Requests that were sent again, in all.
    pub retries: usize,
    /// Seconds after its OK, or the end of a fault, within which readers have to be told.
    pub bound_seconds: f64,
    /// Number of violations of each promise, in total.
    #[serde(flatten)]
    pub totals: BTreeMap<Kind, usize>,
    /// Settings that were left out, and why.
    pub skipped: Vec<String>,
    pub settings: Vec<Outcome>,
}

impl Verdict {
    /// Over all settings.
    pub(super) fn of(
        seed: u64,
        bound: Duration,
        skipped: Vec<String>,
        settings: Vec<Outcome>,
    ) -> Self {
        let total = |kind: &Kind| {
            settings
                .iter()
                .filter_map(|setting| setting.findings.get(kind))
                .map(|found| found.count)
                .sum()
        };
        let totals: BTreeMap<Kind, usize> =
            Kind::ALL.iter().map(|kind| (*kind, total(kind))).collect();
        Self {
            // All kinds count alike: a row that came late is as much a broken promise as a lost one.
            is_good: totals.values().all(|count| *count == 0),
            seed,
            messages: settings.iter().map(|setting| setting.messages).sum(),
            retries: settings.iter().map(|setting| setting.retries).sum(),
            bound_seconds: bound.as_secs_f64(),
            totals,
            skipped,
            settings,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            messages,
            sealed,
            retries,
            reports,
            clears,
            removals,
            epochs,
            lost_polls,
            own_lag_ms,
            seconds,
            ..
        } = self;
        writeln!(f, "{setting}")?;
        writeln!(
            f,
            "  answered OK          {messages} messages in {seconds:.0} s, {reports} reports, {clears} clears, {removals} removals"
        )?;
        writeln!(
            f,
            "  encrypted            {sealed} messages, in {epochs} new epochs"
        )?;
        writeln!(
            f,
            "  sent again           {retries} requests; {lost_polls} polls hung up on"
        )?;
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|(fault, count)| format!("{} {count}", fault.label()))
            .collect();
        writeln!(
            f,
            "  faults               {}",
            if faults.is_empty() {
                "none".into()
            } else {
                faults.join(", ")
            }
        )?;
        for (what, count) in &self.not_struck {
            writeln!(f, "  could not be done    {what} ({count})")?;
        }
        let rounds: Vec<_> = self
            .quiet_rounds
            .iter()
            .map(|(ending, count)| format!("{} {count}", ending.label()))
            .collect();
        writeln!(f, "  quiet rounds         {}", rounds.join(", "))?;
        for is_calm in [true, false] {
            for line in self.latencies.iter().filter(|line| line.is_calm == is_calm) {
                let stretch = if is_calm {
                    "OK to held, calm"
                } else {
                    "OK to held, faults"
                };
                let Line {
                    rows,
                    p50_ms,
                    p99_ms,
                    worst_ms,
                    ..
                } = line;
                let reader = line.reader.label();
                writeln!(
                    f,
                    "  {stretch:<20} {reader:<25} p50 {p50_ms:>6.0} ms, p99 {p99_ms:>6.0}, worst {worst_ms:>6.0} ({rows})"
                )?;
            }
        }
        if let Some(evidence) = &self.evidence {
            writeln!(
                f,
                "  kept                 logs and database, in {}",
                evidence.display()
            )?;
        }
        // Beside the latencies: on a busy machine they contain it.
        writeln!(f, "  own lag, at most     {own_lag_ms} ms")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.settings {
            writeln!(f, "{setting}")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "skipped: {skipped}\n")?;
        }
        for (kind, count) in &self.totals {
            writeln!(f, "{:<22} {count}", kind.label())?;
            for setting in &self.settings {
                for example in setting
                    .findings
                    .get(kind)
                    .map_or(&[][..], |found| &found.examples)
                {
                    writeln!(f, "    {}: {example}", setting.setting)?;
                }
            }
        }
        writeln!(
            f,
            "{:<22} {:.0} s after the OK, or the end of a fault",
            "notified late is", self.bound_seconds
        )?;
        write!(f, "{:<22} {}", "seed", self.seed)
    }
}
