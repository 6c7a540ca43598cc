//! HTTP: starts and stops the server. Tests start exactly what production starts.

mod address;
mod answer;
mod body;
mod budget;
mod connection;
mod cors;
mod endpoint;
mod error;
mod export;
mod extract;
mod file;
mod health;
mod heartbeat;
mod identity;
mod keys;
mod limits;
mod live;
mod load;
mod metrics;
mod nonces;
mod presence;
mod purge;
mod push;
mod refusals;
mod request_log;
mod running;
mod site;
mod state;
mod tls;
mod typing;
mod usage;
mod users;
mod web_client;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    dev::Server,
    guard,
    http::header::STRICT_TRANSPORT_SECURITY,
    middleware::{Condition, DefaultHeaders, from_fn},
    web,
};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use uuid::Uuid;

pub use self::{
    error::{CertificateError, CredentialsError, FirstLinkError, StartError},
    running::Running,
};
use self::{state::State, tls::Certificate};
use crate::{
    chat::server_identity::ServerIdentity,
    notify::{
        bus::{self, Bus},
        resync,
    },
    settings::Settings,
    store,
    telemetry::with_causes,
};

/// Seconds that requests in flight have to end once the server stops.
const GRACE_SECONDS: u64 = 5;
/// Interval at which idle cache entries and connections are evicted.
const EVICT_IDLE_EVERY: Duration = Duration::from_mins(1);
/// A peer that does not finish a request's head in this time is dropped.
// Slowloris: without it, connections that send a byte now and then would use up all there are.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum connections of a worker beyond its WebSockets.
const SPARE_CONNECTIONS: usize = 5000;
/// An idle connection is closed after this.
// Longer than the 60 s for which nginx keeps one to its upstream: if both sides may close it, a request may arrive on a
// connection that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Starts the embedded database if there is no other, migrates, and serves.
///
/// # Errors
/// See [`StartError`].
pub async fn start(mut settings: Settings) -> Result<Running, StartError> {
    // First: a file that cannot be read should fail before a database is started.
    let certificate = settings.tls.as_ref().map(Certificate::read).transpose()?;
    let nats = bus::options(&settings.nats_url, settings.nats_credentials.as_deref())?;
    let (db, embedded) = store::embedded::open(&settings).await?;
    store::migrate(&db).await?;
    let (listener, address) = listen(settings.listen_addr)?;
    // The default public address has the port of `LISTEN_ADDR`, which may be 0.
    settings.public_url = settings
        .public_url
        .replace(&settings.listen_addr.to_string(), &address.to_string());
    let metrics = settings.metrics_addr.map(listen).transpose()?;
    allow_many_sockets();

    let (workers, sockets, write_timeout) = (
        settings.workers,
        settings.sockets,
        settings.timings.write_timeout,
    );
    let identity = ServerIdentity::read(&db)
        .await
        .map_err(|error| StartError::Identity(error.into()))?;
    let node = Uuid::new_v4();
    let (bus, queue) = Bus::new(node, !settings.nats_url.is_empty());
    let state = Arc::new(State::new(
        settings,
        db,
        identity,
        node,
        bus,
        certificate.clone(),
    )?);
    // Before the first request: other nodes must know of this one before it can publish anything that may be lost.
    heartbeat::beat(&state).await?;
    if embedded.is_some() {
        // An embedded database has one server: any node in it is an earlier run of this one, and nobody needs its hints.
        store::presence::forget_other_nodes(&state.services.db, node).await?;
    }
    store::list::keep_era(&state.services.db).await?;

    file::begin(&state).await?;

    let shared = state.clone();
    let server = HttpServer::new(move || {
        let headers = DefaultHeaders::new()
            .add(("X-Content-Type-Options", "nosniff"))
            .add(("Cache-Control", "no-store"));
        let headers = if shared.settings.tls.is_some() {
            // A year: a browser that was here once no longer speaks plain HTTP to this name.
            headers.add((STRICT_TRANSPORT_SECURITY, "max-age=31536000"))
        } else {
            headers
        };
        // Some monitors ask with HEAD.
        let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        let app = App::new()
            .app_data(web::Data::from(shared.clone()))
            .wrap(headers)
            .route("/healthz", get().to(health::healthz))
            .route("/readyz", get().to(health::readyz));
        // Each path by itself: actix matches several paths of one resource as regular expressions, for each request.
        let has_origins = !shared.settings.allowed_origins.is_empty();
        let observed = web::scope("")
            .wrap(from_fn(request_log::observe))
            .wrap(Condition::new(has_origins, from_fn(cors::allow)));
        let observed = endpoint::PATHS.iter().fold(observed, |scope, path| {
            scope.service(endpoint::resource(path))
        });
        let observed = live::PATHS.iter().fold(observed, |scope, path| {
            scope.route(path, web::route().to(live::handshake))
        });
        let observed = file::PATHS.iter().fold(observed, |scope, path| {
            scope.route(path, get().to(file::download))
        });
        app.service(observed.default_service(web::route().to(web_client::serve)))
    })
    .on_connect(move |stream, data| connection::set_up(stream, data, write_timeout))
    .workers(workers)
    .max_connections(sockets.div_ceil(workers) + SPARE_CONNECTIONS)
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(GRACE_SECONDS)
    .disable_signals();
    let server = match &certificate {
        None => server.listen(listener),
        Some(certificate) => server.listen_rustls_0_23(listener, certificate.config()?),
    };
    let server = server.map_err(StartError::Http)?.run();
    let handle = server.handle();
    let metrics_address = metrics.as_ref().map(|(_, address)| *address);
    let metrics = metrics
        .map(|(listener, _)| metrics::server(state.clone(), listener))
        .transpose()
        .map_err(StartError::Http)?;

    let mut tasks = vec![
        tokio::spawn(users::watch_user_changes(state.clone())),
        tokio::spawn(evict_idle(state.clone())),
        tokio::spawn(refusals::run(state.clone())),
        tokio::spawn(purge::note(state.clone())),
        tokio::spawn(purge::run(state.clone())),
        tokio::spawn(purge::erase(state.clone())),
        tokio::spawn(usage::run(state.clone())),
        tokio::spawn(purge::files(state.clone())),
        tokio::spawn(heartbeat::heartbeat(state.clone())),
        tokio::spawn(presence::run(state.clone())),
        tokio::spawn(resync::resync_all_nodes(
            state.resync.clone(),
            state.notifications.clone(),
            state.bus.clone(),
        )),
    ];
    if let Some(queue) = queue {
        let servers = state.settings.nats_url.clone();
        let node = bus::Node {
            bus: state.bus.clone(),
            notifications: state.notifications.clone(),
            resync: state.resync.clone(),
            repeat: state.settings.timings.bus_repeat,
        };
        tasks.push(tokio::spawn(bus::run(node, servers, nats, queue)));
    }
    tasks.extend(push::start(&state)?);
    let metrics_handle = metrics.as_ref().map(Server::handle);
    tasks.extend(metrics.map(|server| {
        tokio::spawn(async {
            if let Err(error) = server.await {
                tracing::error!(%error, "/metrics has stopped");
            }
        })
    }));
    Ok(Running {
        address,
        metrics_address,
        metrics_handle,
        state,
        handle,
        served: tokio::spawn(server),
        tasks,
        certificate,
        embedded,
    })
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source: io::Error| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let real = listener.local_addr().map_err(failed)?;
    Ok((listener, real))
}

/// Raises the limit of open files to what the system allows, as every socket is one.
// The usual soft limit of 1,024 exists for programs that use `select`.
pub fn allow_many_sockets() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "at most {soft} files and sockets can be open");
    }
}

/// Evicts idle entries from all caches, and ends sockets whose stations were ended without this
/// node noticing.
async fn evict_idle(state: Arc<State>) {
    let mut clock = tokio::time::interval(EVICT_IDLE_EVERY);
    loop {
        clock.tick().await;
        state.notifications.evict_idle();
        state.services.db.sweep();
        state.keys.evict_idle();
        state.services.pages.evict_idle();
        // `users.rs` is notified of each change at once; but its connection may be dead without an error, as when a
        // firewall has forgotten it.
        if let Err(error) = users::disconnect_ended(&state).await {
            tracing::debug!(error = with_causes(&error), "the database is away");
        }
    }
}
