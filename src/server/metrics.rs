//! `/metrics` on `METRICS_ADDR` (docs/operating.md): counters of requests, and gauges that are read at each scrape. Labels
//! are from closed sets, never ids or a client's text, so that no client can make them grow.

use std::{
    fmt,
    net::TcpListener,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, web};
use prometheus_client::{
    encoding::prometheus_text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram, info::Info},
    registry::{Metric, Registry},
};

use super::state::State;
use crate::api::error::Error;

/// The label of an API or action that does not exist.
pub(super) const UNKNOWN: &str = "unknown";

/// Upper bounds in seconds. An `add` takes about 5 ms; apart from waiting for a connection, nothing
/// takes longer than the database's statement timeout of 10 s.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// What may become of a push (`push.rs`).
const PUSH_OUTCOMES: [&str; 6] = [
    "sent",
    "gone",
    "rejected",
    "internal_address",
    "failed",
    "dropped",
];

type Labels<const N: usize> = [(&'static str, &'static str); N];
type Histograms = Family<Labels<2>, Histogram, fn() -> Histogram>;

/// The server's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    request_seconds: Histograms,
    sockets: Gauge,
    pending_stations: Gauge,
    batcher_queue: Family<Labels<1>, Gauge>,
    db_connections: Family<Labels<1>, Gauge>,
    db_waiting: Gauge,
    nodes_alive: Gauge,
    bus_connected: Gauge,
    bus_gaps: Counter,
    resyncs: Counter,
    purged_rows: Family<Labels<1>, Counter>,
    pushes: Family<Labels<1>, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("parlance_build", "The version that runs", build);
        let registry = &mut registry;
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
                Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            ),
            sockets: register(
                registry,
                "parlance_sockets",
                "Open WebSockets of this node",
                Gauge::default(),
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
                "How often all stations of this node were told to resync",
                Counter::default(),
            ),
            purged_rows: register(
                registry,
                "parlance_purged_rows",
                "Rows that this node purged",
                Family::default(),
            ),
            pushes: pushes(registry),
            registry: std::mem::take(registry),
        }
    }
}

/// Registers the counter of pushes, with each outcome at zero: so that a rate can be computed from the
/// first one on.
fn pushes(registry: &mut Registry) -> Family<Labels<1>, Counter> {
    let pushes: Family<Labels<1>, Counter> = Family::default();
    for outcome in PUSH_OUTCOMES {
        drop(pushes.get_or_create(&[("outcome", outcome)]));
    }
    register(
        registry,
        "parlance_web_pushes",
        "Web Pushes by what became of them",
        pushes,
    )
}

/// Registers a metric. Returns a handle to the same value.
fn register<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// Counts an answered request.
    pub(super) fn count(
        &self,
        api: &'static str,
        action: &'static str,
        outcome: &'static str,
        elapsed: Duration,
    ) {
        let labels = [("api", api), ("action", action), ("outcome", outcome)];
        self.requests.get_or_create(&labels).inc();
        self.request_seconds
            .get_or_create(&[("api", api), ("action", action)])
            .observe(elapsed.as_secs_f64());
    }

    /// Counts a push.
    pub(super) fn count_push(&self, outcome: &'static str) {
        self.pushes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts purged rows.
    pub(super) fn count_purged(&self, kind: &'static str, rows: u64) {
        self.purged_rows
            .get_or_create(&[("kind", kind)])
            .inc_by(rows);
    }

    /// All metrics as text, with the present values of the gauges.
    fn scrape(&self, state: &State) -> Result<String, fmt::Error> {
        let usage = state.services.db.usage();
        let (sockets, stations) = state.notifications.counts();
        set(&self.sockets, sockets);
        set(&self.pending_stations, stations);
        for (kind, length) in [
            ("messages", state.services.messages.waiting()),
            ("reports", state.services.reports.waiting()),
        ] {
            set(&self.batcher_queue.get_or_create(&[("kind", kind)]), length);
        }
        for (name, connections) in [("in_use", usage.in_use), ("idle", usage.idle)] {
            set(
                &self.db_connections.get_or_create(&[("state", name)]),
                connections,
            );
        }
        set(&self.db_waiting, usage.waiting);
        set(&self.nodes_alive, state.nodes.others_alive() + 1);
        set(&self.bus_connected, usize::from(state.bus.is_connected()));
        advance(&self.bus_gaps, state.bus.gaps());
        advance(&self.resyncs, state.resync.done());
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn set(gauge: &Gauge, value: usize) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}

/// Raises a counter to a total that is counted elsewhere.
fn advance(counter: &Counter<u64, AtomicU64>, to: u64) {
    // Two concurrent scrapes may both add the difference; a counter never decreases, so that stays.
    counter
        .inner()
        .fetch_max(to, std::sync::atomic::Ordering::Relaxed);
}

/// A server for `/metrics` alone, on an address of its own, as its figures are not for the public.
pub(super) fn server(state: Arc<State>, listener: TcpListener) -> std::io::Result<Server> {
    let shared = web::Data::from(state);
    // One worker is enough for a scrape every 15 s, and each worker is a thread.
    let server = HttpServer::new(move || {
        App::new().app_data(shared.clone()).service(
            web::resource("/metrics")
                .route(web::get().to(scrape))
                .route(web::head().to(scrape)),
        )
    });
    Ok(server.workers(1).disable_signals().listen(listener)?.run())
}

async fn scrape(state: web::Data<State>) -> Result<HttpResponse, Error> {
    let text = state.metrics.scrape(&state).map_err(Error::internal)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}
