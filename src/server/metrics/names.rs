//! The names of all metrics, with what each one is.

use std::{sync::Mutex, time::Instant};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

use super::{Labels, Metrics, close_code, process::Process};
use crate::{
    counters::{Counters, SECONDS},
    store::{self, batcher::Entry, report::NewReport, rows::NewMessage},
};

/// The possible outcomes of a push (`push.rs`).
const PUSH_OUTCOMES: [&str; 6] = [
    "sent",
    "gone",
    "rejected",
    "internal_address",
    "failed",
    "dropped",
];

/// The classes of failures of the database (`store/db.rs`).
const DB_ERRORS: [&str; 3] = ["away", "answer_lost", "unexpected"];

impl Metrics {
    /// With everything at zero. `counters` are those of the layers below.
    pub(in crate::server) fn new(counters: &Counters) -> Self {
        let mut registry = Registry::default();
        let migration = store::MIGRATIONS.iter().map(|one| one.version).max();
        let build = Info::new([
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("migration", migration.unwrap_or_default().to_string()),
        ]);
        registry.register(
            "parlance_build",
            "The version that runs, and its newest migration",
            build,
        );
        registry.register_collector(Box::new(Process::new()));
        let registry = &mut registry;
        register_counters(registry, counters);
        Self {
            requests: register(
                registry,
                "parlance_requests",
                "Requests by API, action and outcome: ok, or the errorcode of the refusal",
                Family::default(),
            ),
            request_seconds: register(
                registry,
                "parlance_request_seconds",
                "Time from a request's head to its answer, by API and action",
                Family::new_with_constructor(|| Histogram::new(SECONDS)),
            ),
            sockets: register(
                registry,
                "parlance_sockets",
                "Open WebSockets of this node",
                Gauge::default(),
            ),
            sockets_opened: register(
                registry,
                "parlance_sockets_opened",
                "WebSockets that were opened",
                Counter::default(),
            ),
            sockets_closed: register(
                registry,
                "parlance_sockets_closed",
                "WebSockets that ended, by the code of the server's close frame, or none",
                at_zero(Family::default(), "code", &close_code::ALL),
            ),
            commit_to_push_seconds: register(
                registry,
                "parlance_commit_to_push_seconds",
                "Time from the commit of a message or report to its first push on this node",
                Histogram::new(SECONDS),
            ),
            pending_stations: register(
                registry,
                "parlance_pending_stations",
                "Stations that this node keeps pending notifications for",
                Gauge::default(),
            ),
            batcher_queue: register(
                registry,
                "parlance_batcher_queue",
                "Messages and reports that wait for their batch",
                Family::default(),
            ),
            db_connections: register(
                registry,
                "parlance_db_connections",
                "Connections to the database, in use and idle",
                Family::default(),
            ),
            db_waiting: register(
                registry,
                "parlance_db_waiting",
                "Callers that wait for a connection to the database",
                Gauge::default(),
            ),
            nodes_alive: register(
                registry,
                "parlance_nodes_alive",
                "Nodes on this database that are alive, this one included",
                Gauge::default(),
            ),
            bus_connected: register(
                registry,
                "parlance_bus_connected",
                "1 if the bus to other nodes is connected; 0 too if there is none",
                Gauge::default(),
            ),
            bus_gaps: register(
                registry,
                "parlance_bus_gaps",
                "How often hints of another node were missed",
                Counter::default(),
            ),
            resyncs: register(
                registry,
                "parlance_resyncs",
                "How often all stations of this node had to resync",
                Counter::default(),
            ),
            purged_rows: register(
                registry,
                "parlance_purged_rows",
                "Rows that this node purged",
                Family::default(),
            ),
            pushes: register(
                registry,
                "parlance_web_pushes",
                "Web Pushes by what became of them",
                at_zero(Family::default(), "outcome", &PUSH_OUTCOMES),
            ),
            file_bytes: register(
                registry,
                "parlance_file_bytes",
                "Bytes of files that were stored and read, repeated ones included",
                at_zero(Family::default(), "direction", &["received", "sent"]),
            ),
            db_up: register(
                registry,
                "parlance_db_up",
                "0 if the database was away when it was last used",
                Gauge::default(),
            ),
            cache_hits: register(
                registry,
                "parlance_cache_hits",
                "What was found in a cache",
                Family::default(),
            ),
            cache_misses: register(
                registry,
                "parlance_cache_misses",
                "What was not found in a cache, and read from the database",
                Family::default(),
            ),
            purge_lag: register(
                registry,
                "parlance_purge_lag_seconds",
                "Time since expired messages were last purged, or since the start",
                Gauge::default(),
            ),
            clock_jumps: register(
                registry,
                "parlance_clock_jumps",
                "How often the machine's clock jumped by more than a minute",
                Counter::default(),
            ),
            certificate_expires: register(
                registry,
                "parlance_tls_certificate_expires_seconds",
                "When the certificate of TLS_CERT expires, in seconds since 1970; 0 without one",
                Gauge::default(),
            ),
            users: register(
                registry,
                "parlance_users",
                "Users, counted at most once a minute",
                Family::default(),
            ),
            users_counted_at: Mutex::default(),
            purged_at: Mutex::new(Instant::now()),
            registry: std::mem::take(registry),
        }
    }
}

/// A counter with a series for each of these values at zero: a series that appears with its first
/// event hides that event from a rate.
fn at_zero(
    counter: Family<Labels<1>, Counter>,
    label: &'static str,
    values: &[&'static str],
) -> Family<Labels<1>, Counter> {
    for value in values {
        drop(counter.get_or_create(&[(label, value)]));
    }
    counter
}

/// Registers what the layers below count.
fn register_counters(registry: &mut Registry, counters: &Counters) {
    for (name, help, counter) in [
        (
            "parlance_messages_stored",
            "Messages that this node stored",
            &counters.messages_stored,
        ),
        (
            "parlance_message_bytes",
            "Bytes of the Data of messages that this node stored",
            &counters.message_bytes,
        ),
        (
            "parlance_message_retries",
            "Messages that were sent again after they had been stored",
            &counters.message_retries,
        ),
        (
            "parlance_reports_stored",
            "Reports that this node stored",
            &counters.reports_stored,
        ),
        (
            "parlance_embedded_restarts",
            "Restarts of the embedded PostgreSQL",
            &counters.embedded_restarts,
        ),
    ] {
        registry.register(name, help, counter.clone());
    }
    // At zero from the start, for the reason that `at_zero` gives.
    for kind in [NewMessage::KIND, NewReport::KIND] {
        drop(counters.batch_size.get_or_create(&[("kind", kind)]));
        drop(counters.batch_seconds.get_or_create(&[("kind", kind)]));
        drop(counters.batch_splits.get_or_create(&[("kind", kind)]));
    }
    registry.register(
        "parlance_batcher_batch_size",
        "Messages or reports of each batch",
        counters.batch_size.clone(),
    );
    registry.register(
        "parlance_batcher_batch_seconds",
        "Time that each batch took",
        counters.batch_seconds.clone(),
    );
    registry.register(
        "parlance_batcher_splits",
        "Batches that were refused as a whole, and split",
        counters.batch_splits.clone(),
    );
    registry.register(
        "parlance_db_wait_seconds",
        "Time that callers waited for a connection, of those who had to wait",
        counters.db_wait_seconds.clone(),
    );
    registry.register(
        "parlance_db_errors",
        "Failures of the database",
        at_zero(counters.db_errors.clone(), "class", &DB_ERRORS),
    );
}

/// Registers a metric. Returns a handle to the same value.
fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}
