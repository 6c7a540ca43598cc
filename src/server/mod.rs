//! HTTP: starts the server, and stops it. What production starts is what tests start.

mod address;
mod body;
mod budget;
mod connection;
mod endpoint;
mod health;
mod heartbeat;
mod identity;
mod keys;
mod limits;
mod live;
mod load;
mod nonces;
mod presence;
mod purge;
mod state;
mod tls;
mod users;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::DefaultHeaders, web};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::{task::JoinHandle, time::timeout};
use uuid::Uuid;

use self::{state::State, tls::Certificate};
use crate::{
    notify::{
        bus::{self, Bus},
        resync,
    },
    settings::Settings,
    store::{self, embedded::Embedded},
    telemetry::with_causes,
};

/// Time for requests in flight to end once the server stops.
const GRACE_SECONDS: u64 = 5;
/// How often idle entries and connections are looked for.
const EVICT_IDLE_EVERY: Duration = Duration::from_mins(1);
/// Maximum time for the database to take note of this node's end.
const FAREWELL: Duration = Duration::from_secs(2);
/// A peer that does not finish a request's head in this time is dropped.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum connections of a worker beyond its WebSockets.
const SPARE_CONNECTIONS: usize = 5000;
/// An idle connection is closed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A running server.
pub struct Running {
    /// Where it listens, with the real port if 0 was asked for.
    pub address: SocketAddr,
    state: Arc<State>,
    handle: ServerHandle,
    served: JoinHandle<io::Result<()>>,
    tasks: Vec<JoinHandle<()>>,
    certificate: Option<Arc<Certificate>>,
    embedded: Option<Embedded>,
}

/// Starts the embedded database if there is no other, migrates, and serves.
///
/// # Errors
/// One sentence for a person.
pub async fn start(mut settings: Settings) -> Result<Running, String> {
    let certificate = settings.tls.as_ref().map(Certificate::read).transpose()?;
    let (db, embedded) = store::embedded::open(&settings)
        .await
        .map_err(|error| with_causes(&error))?;
    store::migrate(&db).await?;
    let (listener, address) = listen(settings.listen_addr)?;
    // The default public address has the port of `LISTEN_ADDR`, which may be 0.
    settings.public_url = settings
        .public_url
        .replace(&settings.listen_addr.to_string(), &address.to_string());
    allow_many_sockets();

    let (workers, sockets, write_timeout) = (
        settings.workers,
        settings.sockets,
        settings.timings.write_timeout,
    );
    let node = Uuid::new_v4();
    let (bus, queue) = Bus::new(node, settings.nats_url.is_some());
    let state = Arc::new(State::new(settings, db, node, bus));
    heartbeat::beat(&state)
        .await
        .map_err(|error| with_causes(&error))?;
    if embedded.is_some() {
        // Nobody else uses an embedded database: a node in it is this server's predecessor, whose hints nobody misses.
        store::presence::forget_other_nodes(&state.services.db, node)
            .await
            .map_err(|error| with_causes(&error))?;
    }

    let shared = state.clone();
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(web::Data::from(shared.clone()))
            .wrap(
                DefaultHeaders::new()
                    .add(("X-Content-Type-Options", "nosniff"))
                    .add(("Cache-Control", "no-store")),
            )
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .default_service(web::route().to(endpoint::not_found));
        // Each path by itself: actix matches several paths of one resource as regular expressions, for each request.
        let app = endpoint::PATHS.iter().fold(app, |app, path| {
            app.service(web::resource(*path).route(web::route().to(endpoint::answer)))
        });
        live::PATHS.iter().fold(app, |app, path| {
            app.service(web::resource(*path).route(web::route().to(live::handshake)))
        })
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
    let server = server.map_err(|error| error.to_string())?.run();
    let handle = server.handle();

    let mut tasks = vec![
        tokio::spawn(users::watch_user_changes(state.clone())),
        tokio::spawn(evict_idle(state.clone())),
        tokio::spawn(purge::note(state.clone())),
        tokio::spawn(purge::run(state.clone())),
        tokio::spawn(heartbeat::heartbeat(state.clone())),
        tokio::spawn(presence::run(state.clone())),
        tokio::spawn(resync::resync_all_nodes(
            state.resync.clone(),
            state.notifications.clone(),
            state.bus.clone(),
        )),
    ];
    if let (Some(url), Some(queue)) = (state.settings.nats_url.clone(), queue) {
        let node = bus::Node {
            bus: state.bus.clone(),
            notifications: state.notifications.clone(),
            resync: state.resync.clone(),
            repeat: state.settings.timings.bus_repeat,
        };
        tasks.push(tokio::spawn(bus::run(node, url, queue)));
    }
    Ok(Running {
        address,
        state,
        handle,
        served: tokio::spawn(server),
        tasks,
        certificate,
        embedded,
    })
}

impl Running {
    /// The embedded database's address, as `psql`, `pg_dump` and `sqlx migrate` take it. Returns `None` for the operator's own
    /// database: its address may hold a password.
    #[must_use]
    pub fn database_url(&self) -> Option<&str> {
        self.embedded.as_ref().map(Embedded::url)
    }

    /// Messages and reports in the batchers' queues.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.services.messages.waiting() + self.state.services.reports.waiting()
    }

    /// The public address, as clients are given it.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.state.settings.public_url
    }

    /// Reads the certificate again. Returns `false` if the server has none.
    ///
    /// # Errors
    /// One sentence; the old certificate stays.
    pub fn read_certificate_again(&self) -> Result<bool, String> {
        self.certificate.as_ref().map_or(Ok(false), |certificate| {
            certificate.read_again().map(|()| true)
        })
    }

    /// Stops: accepts no more requests, closes sockets, waits for requests in flight, and stops an embedded database.
    pub async fn stop(self) {
        self.state.is_stopping.store(true, Ordering::Release);
        self.state.notifications.disconnect(None);
        self.handle.stop(true).await;
        if !matches!(self.served.await, Ok(Ok(()))) {
            tracing::warn!("the server ended with an error");
        }
        // Only once nothing is announced here any more. On a connection of its own: those of the pool were read by the
        // workers, which have ended.
        if let Err(error) = announce_end(&self.state).await {
            tracing::warn!(
                error = with_causes(&error),
                "the other nodes will notice a moment later that this one has ended"
            );
        }
        for task in self.tasks {
            task.abort();
        }
        self.state.services.db.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

async fn announce_end(state: &State) -> store::error::Result<()> {
    timeout(
        FAREWELL,
        store::presence::node_ended(&state.services.db, state.node),
    )
    .await
    .unwrap_or_else(|elapsed| {
        Err(store::error::Error::Away {
            uncertain: true,
            source: elapsed.into(),
        })
    })
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let failed = |error: io::Error| format!("{address} cannot be listened on: {error}");
    let listener = TcpListener::bind(address).map_err(failed)?;
    let real = listener.local_addr().map_err(failed)?;
    Ok((listener, real))
}

/// Raises the limit of open files to what the system allows: every socket is one. The usual soft limit of 1,024 is for
/// programs that use `select`.
pub fn allow_many_sockets() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "at most {soft} files and sockets can be open");
    }
}

/// Evicts what was idle for a while from all caches, and disconnects users who were disabled unheard.
async fn evict_idle(state: Arc<State>) {
    let mut clock = tokio::time::interval(EVICT_IDLE_EVERY);
    loop {
        clock.tick().await;
        state.notifications.evict_idle();
        state.services.db.sweep();
        state.keys.evict_idle();
        state.services.pages.evict_idle();
        // `users.rs` hears of each change at once; but its connection may be dead without an error, as where a firewall
        // has dropped it.
        if let Err(error) = users::disconnect_disabled(&state).await {
            tracing::debug!(error = with_causes(&error), "the database is away");
        }
    }
}
