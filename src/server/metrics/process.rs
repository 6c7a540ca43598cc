//! The metrics of a process that Prometheus' own client libraries show, under the names that its
//! dashboards expect. Linux tells them in `/proc`; elsewhere there are only those that POSIX has.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Reads them at each scrape.
#[derive(Debug)]
pub(super) struct Process {
    started: f64,
}

impl Process {
    /// Of the process that starts now.
    pub(super) fn new() -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            started: started.unwrap_or_default().as_secs_f64(),
        }
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut gauge =
            |name, help, value: f64| show(&mut encoder, name, help, &ConstGauge::new(value));
        gauge(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            self.started,
        )?;
        if let Some(bytes) = resident_bytes() {
            gauge(
                "process_resident_memory_bytes",
                "Memory of the process, without its PostgreSQL",
                bytes,
            )?;
        }
        if let Some(open) = open_files() {
            gauge("process_open_fds", "Open files and sockets", open)?;
        }
        if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
            gauge(
                "process_max_fds",
                "Maximum open files and sockets",
                number(soft),
            )?;
        }
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            let seconds = [usage.user_time(), usage.system_time()]
                .map(|time| number(time.tv_sec()) + number(time.tv_usec()) / 1e6);
            show(
                &mut encoder,
                "process_cpu_seconds",
                "CPU time of the process, without its PostgreSQL",
                &ConstCounter::new(seconds.iter().sum::<f64>()),
            )?;
        }
        Ok(())
    }
}

fn show(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> Result<(), fmt::Error> {
    let encoder = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
    metric.encode(encoder)
}

/// A gauge's value. Exact up to 2^53.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds, bytes and files of a process are far below 2^53"
)]
fn number(value: impl TryInto<i64>) -> f64 {
    // No limit at all (`RLIM_INFINITY`) does not fit into an i64.
    value.try_into().map_or(f64::MAX, |value| value as f64)
}

fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(number(kilobytes * 1024))
}

fn open_files() -> Option<f64> {
    let files = std::fs::read_dir("/proc/self/fd").ok()?;
    Some(number(files.count()))
}
