//! `/metrics` on `METRICS_ADDR` (docs/operating.md): counters of requests, and gauges that are read at each scrape. Labels
//! are from closed sets, never ids or a client's text, so that no client can make them grow.

mod close_code;
mod names;
mod process;

use std::{
    fmt,
    net::TcpListener,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, dev::Server, web};
use actix_ws::CloseReason;
use prometheus_client::{
    encoding::prometheus_text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::state::State;
use crate::{api::error::Error, store};
use parlance_wire::time::Timestamp;

/// The label of an API or action that does not exist.
pub(super) const UNKNOWN: &str = "unknown";

/// How long numbers that take a read of a whole table are reused.
const COUNTED_EVERY: Duration = Duration::from_mins(1);
type Labels<const N: usize> = [(&'static str, &'static str); N];
type RequestHistograms = Family<Labels<2>, Histogram, fn() -> Histogram>;

/// The server's metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Labels<3>, Counter>,
    request_seconds: RequestHistograms,
    sockets: Gauge,
    sockets_opened: Counter,
    sockets_closed: Family<Labels<1>, Counter>,
    /// Time from a commit to the first socket of this node that gets the row.
    pub commit_to_push_seconds: Histogram,
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
    file_bytes: Family<Labels<1>, Counter>,
    db_up: Gauge,
    cache_hits: Family<Labels<1>, Counter>,
    cache_misses: Family<Labels<1>, Counter>,
    purge_lag: Gauge,
    /// How often the wall clock jumped.
    pub clock_jumps: Counter,
    certificate_expires: Gauge,
    users: Family<Labels<1>, Gauge>,
    /// When users were counted last.
    users_counted_at: Mutex<Option<Instant>>,
    /// When the last complete round of the purge ended, or this server started.
    purged_at: Mutex<Instant>,
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

    /// Counts a socket that was opened.
    pub(super) fn socket_opened(&self) {
        self.sockets_opened.inc();
    }

    /// Counts a socket that ended, by the server's close frame.
    pub(super) fn socket_closed(&self, frame: Option<&CloseReason>) {
        let code = close_code::label(frame);
        self.sockets_closed.get_or_create(&[("code", code)]).inc();
    }

    /// Notes that a round of the purge is complete.
    pub(super) fn purged(&self) {
        *locked(&self.purged_at) = Instant::now();
    }

    /// Counts a push.
    pub(super) fn count_push(&self, outcome: &'static str) {
        self.pushes.get_or_create(&[("outcome", outcome)]).inc();
    }

    /// Counts bytes of files: `received` or `sent`.
    pub(super) fn count_file_bytes(&self, direction: &'static str, bytes: u64) {
        self.file_bytes
            .get_or_create(&[("direction", direction)])
            .inc_by(bytes);
    }

    /// Counts purged rows.
    pub(super) fn count_purged(&self, kind: &'static str, rows: u64) {
        self.purged_rows
            .get_or_create(&[("kind", kind)])
            .inc_by(rows);
    }

    /// Counts users again, if that was a while ago. If the database is away, the old numbers stay.
    async fn count_users(&self, state: &State) {
        {
            let mut counted_at = locked(&self.users_counted_at);
            if counted_at.is_some_and(|at| at.elapsed() < COUNTED_EVERY) {
                return;
            }
            // Before it is done, so that concurrent scrapes do not count as well.
            *counted_at = Some(Instant::now());
        }
        let Ok(counts) = store::user_list::count(&state.services.db).await else {
            return;
        };
        for (name, users) in [
            ("enabled", counts.enabled),
            ("disabled", counts.disabled),
            ("online", counts.online),
        ] {
            self.users.get_or_create(&[("state", name)]).set(users);
        }
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
        set(&self.db_up, usize::from(state.services.db.is_up()));
        let counters = state.services.db.counters();
        for (by_name, family) in [
            (counters.cache_hits.by_name(), &self.cache_hits),
            (counters.cache_misses.by_name(), &self.cache_misses),
        ] {
            for (name, counter) in by_name {
                advance(&family.get_or_create(&[("cache", name)]), counter.get());
            }
        }
        let lag = locked(&self.purged_at).elapsed().as_secs();
        set(&self.purge_lag, usize::try_from(lag).unwrap_or(usize::MAX));
        let expires = state.certificate.as_ref().and_then(|one| one.expires_at());
        let expires = expires.map_or(0, Timestamp::unix_seconds);
        self.certificate_expires.set(expires);
        advance(&self.bus_gaps, state.bus.gaps());
        advance(&self.resyncs, state.resync.done());
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock is held cannot leave a moment half-written, so a poisoned lock is
    // still good.
    value.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A server for `/metrics` alone, on an address of its own, as its metrics are not for the public.
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
    state.metrics.count_users(&state).await;
    let text = state.metrics.scrape(&state).map_err(Error::internal)?;
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}
