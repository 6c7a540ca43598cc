//! The report: a table for people, JSON for scripts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{cost::Cpu, load::Tally};

/// The results of a run. Anything that could not be measured is absent.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Results {
    /// Successful answers per second.
    pub per_second: f64,
    /// Latency in microseconds: the median, the 99th and 99.9th percentile, and the maximum.
    pub p50_us: Option<f64>,
    /// See `p50_us`.
    pub p99_us: Option<f64>,
    /// See `p50_us`.
    pub p999_us: Option<f64>,
    /// See `p50_us`.
    pub max_us: Option<f64>,
    /// Server CPU time per successful answer, in microseconds.
    pub server_us: Option<f64>,
    /// The same of all PostgreSQL processes.
    pub postgres_us: Option<f64>,
    /// The same of the client.
    pub client_us: Option<f64>,
    /// Peak memory of the server, in KB.
    pub server_peak_kb: Option<f64>,
    /// Memory of PostgreSQL at the end, in KB.
    pub postgres_kb: Option<f64>,
    /// Bytes of PostgreSQL's log of changes per successful answer, of those workloads that measure it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_bytes: Option<f64>,
    /// Refusals and failures, by code.
    pub errors: BTreeMap<String, u64>,
}

impl Results {
    /// The results of a run.
    #[must_use]
    pub(crate) fn of(tally: &Tally, cpu: Cpu) -> Self {
        #[expect(
            clippy::cast_precision_loss,
            reason = "the operations of a run are far below 2^52"
        )]
        let good = tally.latencies.len() as f64;
        // JSON has no infinity: without a successful answer, the cost is that of the whole run.
        let each = |seconds: f64| seconds * 1e6 / good.max(1.0);
        #[expect(
            clippy::cast_precision_loss,
            reason = "the operations of a run are far below 2^52"
        )]
        let at = |quantile: f64| Some(tally.latencies.value_at_quantile(quantile) as f64);
        Self {
            per_second: good / tally.took.as_secs_f64(),
            p50_us: at(0.5),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: at(1.0),
            server_us: cpu.server.map(each),
            postgres_us: cpu.postgres.map(each),
            client_us: Some(each(cpu.client)),
            server_peak_kb: None,
            postgres_kb: None,
            wal_bytes: None,
            errors: tally.errors.clone(),
        }
    }
}

/// The row of a workload or a floor.
#[derive(Debug, Serialize)]
pub(crate) struct Measurement {
    pub name: String,
    /// Number of connections.
    pub connections: usize,
    /// Number of runs.
    pub runs: usize,
    /// The median of each result.
    #[serde(flatten)]
    pub results: Results,
    /// The lowest and the highest rate.
    pub per_second_range: (f64, f64),
    /// Its ratio to its floor, if that was measured in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<Ratio>,
}

/// A workload relative to its floor.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    pub floor: String,
    /// The rate, as a multiple of the floor's.
    pub rate: f64,
    /// The CPU time of server and PostgreSQL, as a multiple of the floor's.
    pub cpu: f64,
}

impl Measurement {
    /// Combines several runs into a row: the median of each result, and all errors.
    #[must_use]
    pub(crate) fn median(name: String, connections: usize, runs: &[Results]) -> Self {
        // Each figure on its own: the run with the median rate may have the worst latency.
        let of =
            |figure: fn(&Results) -> Option<f64>| median(runs.iter().filter_map(figure).collect());
        // The errors of all runs, as a refusal in any of them casts doubt on the results.
        let mut errors = BTreeMap::new();
        for (code, count) in runs.iter().flat_map(|run| &run.errors) {
            *errors.entry(code.clone()).or_default() += count;
        }
        let rates = runs.iter().map(|run| run.per_second);
        Self {
            name,
            connections,
            runs: runs.len(),
            results: Results {
                per_second: of(|run| Some(run.per_second)).unwrap_or_default(),
                p50_us: of(|run| run.p50_us),
                p99_us: of(|run| run.p99_us),
                p999_us: of(|run| run.p999_us),
                max_us: of(|run| run.max_us),
                server_us: of(|run| run.server_us),
                postgres_us: of(|run| run.postgres_us),
                client_us: of(|run| run.client_us),
                server_peak_kb: of(|run| run.server_peak_kb),
                postgres_kb: of(|run| run.postgres_kb),
                wal_bytes: of(|run| run.wal_bytes),
                errors,
            },
            per_second_range: (
                rates.clone().fold(f64::INFINITY, f64::min),
                rates.fold(0.0, f64::max),
            ),
            beside: None,
        }
    }

    /// Adds the ratio to this floor.
    #[must_use]
    pub(crate) fn beside(mut self, floor: &Self) -> Self {
        let cpu = |of: &Results| of.server_us.unwrap_or(0.0) + of.postgres_us.unwrap_or(0.0);
        let rate = self.results.per_second / floor.results.per_second;
        self.beside = Some(Ratio {
            floor: floor.name.clone(),
            rate,
            cpu: cpu(&self.results) / cpu(&floor.results),
        });
        self
    }

    /// The table's header.
    #[must_use]
    pub(crate) fn head() -> String {
        format!(
            "{:<28} {:>5} {:>10} {:>9} {:>9} {:>9} {:>9} | {:>8} {:>8} {:>8} | {:>9} {:>9}",
            "",
            "conn",
            "/s",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "max ms",
            "server",
            "postgres",
            "client",
            "server MB",
            "pg MB"
        )
    }

    /// A line of the table. CPU time is in microseconds per operation.
    #[must_use]
    pub(crate) fn line(&self) -> String {
        let ms =
            |us: Option<f64>| us.map_or_else(|| "-".into(), |us| format!("{:.2}", us / 1000.0));
        let us = |us: Option<f64>| us.map_or_else(|| "-".into(), |us| format!("{us:.1}"));
        let mb =
            |kb: Option<f64>| kb.map_or_else(|| "-".into(), |kb| format!("{:.1}", kb / 1024.0));
        let f = &self.results;
        let mut line = format!(
            "{:<28} {:>5} {:>10.0} {:>9} {:>9} {:>9} {:>9} | {:>8} {:>8} {:>8} | {:>9} {:>9}",
            self.name,
            self.connections,
            f.per_second,
            ms(f.p50_us),
            ms(f.p99_us),
            ms(f.p999_us),
            ms(f.max_us),
            us(f.server_us),
            us(f.postgres_us),
            us(f.client_us),
            mb(f.server_peak_kb),
            mb(f.postgres_kb),
        );
        if let Some(Ratio { floor, rate, cpu }) = &self.beside {
            let beside = format!("  {rate:.2} x {floor}, {cpu:.2} x its CPU");
            line.push_str(&beside);
        }
        if let Some(bytes) = f.wal_bytes {
            let wal = format!("  {bytes:.0} bytes of WAL each");
            line.push_str(&wal);
        }
        for (code, count) in &f.errors {
            line.push_str("  ");
            line.push_str(&count.to_string());
            line.push_str(" x ");
            line.push_str(code);
        }
        line
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    // The median, because one run that was disturbed must not move the figure.
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_told_beside_its_floor() {
        let row = |name: &str, per_second, server_us, postgres_us| {
            let results = Results {
                per_second,
                server_us,
                postgres_us,
                ..Results::default()
            };
            Measurement::median(name.into(), 64, &[results])
        };
        let floor = row("pgbench, spread", 10_000.0, None, Some(150.0));
        let line = row("add", 15_000.0, Some(40.0), Some(50.0))
            .beside(&floor)
            .line();
        assert!(
            line.ends_with("1.50 x pgbench, spread, 0.60 x its CPU"),
            "{line}"
        );
        assert!(!floor.line().contains(" x "));
    }
}
