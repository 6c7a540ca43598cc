//! HTTP: starts the server, and stops it. What production starts is what tests start.

mod bus;
mod endpoint;
mod health;
mod identity;
mod limits;
mod live;
mod purge;
mod tls;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::DefaultHeaders, web};
use chrono::TimeDelta;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{sync::Semaphore, task::JoinHandle};
use uuid::Uuid;

pub use self::identity::Claim;
use self::{bus::Bus, tls::Certificate};
use crate::{
    chat::{self, event::Event, name::Names, recent::Recent, slate::Slates},
    model::{id::UserId, rows::NewMessage, time::Timestamp},
    settings::Settings,
    store::{self, Db, embedded::Embedded, report::NewReport, writer::Writer},
};

/// Requests in flight get so long to end once the server stops.
const GRACE_SECONDS: u64 = 5;
/// How often idle slates are looked for, and cleared rows deleted.
const HOUSEKEEPING: Duration = Duration::from_mins(1);
/// How often a node says that it lives, and looks who else does.
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A node that has not said so for this long is gone.
const ALIVE: TimeDelta = TimeDelta::seconds(15);
/// Clients of a node that is gone get so long to come back before they are offline.
const RETURN: Duration = Duration::from_secs(30);
/// A peer that does not finish its request's head in this time is dropped.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Beside its sockets, a worker holds so many connections.
const SPARE_CONNECTIONS: usize = 5000;
/// An idle connection is kept for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What every request may use.
struct State {
    settings: Settings,
    db: Arc<Db>,
    messages: Writer<NewMessage>,
    reports: Writer<NewReport>,
    names: Names,
    recent: Recent,
    node: Uuid,
    slates: Arc<Slates>,
    bus: Arc<Bus>,
    identities: identity::Identities,
    nonces: identity::Nonces,
    limits: limits::Limits,
    /// Bytes of bodies that may yet be on their way.
    bodies: Semaphore,
    writes: health::Writes,
    is_stopping: AtomicBool,
}

impl State {
    /// Tells all whom it concerns, here and on other nodes, what happened. After the commit, never before.
    fn announce(&self, events: &[Event]) {
        self.slates.announce(events);
        self.bus.tell(events);
    }

    /// Something may have happened that cannot be announced: everyone has to compare everything.
    fn forget(&self) {
        self.slates.forget();
    }

    /// Something may have been committed, or may yet be: everyone, on every node, has to compare everything,
    /// now, and once more when it is decided.
    fn doubt(&self) {
        let (slates, bus) = (self.slates.clone(), self.bus.clone());
        tokio::spawn(async move {
            for wait in [Duration::ZERO, store::DECIDED] {
                tokio::time::sleep(wait).await;
                slates.forget();
                bus.skip();
            }
        });
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}

/// A server that runs.
pub struct Running {
    /// Where it listens: the real port, where 0 was asked for.
    pub address: SocketAddr,
    state: Arc<State>,
    handle: ServerHandle,
    served: JoinHandle<io::Result<()>>,
    tasks: Vec<JoinHandle<()>>,
    certificate: Option<Arc<Certificate>>,
    embedded: Option<Embedded>,
}

/// Starts the database if it is ours, brings it up to date, and serves.
///
/// # Errors
/// One sentence for a person.
pub async fn start(mut settings: Settings) -> Result<Running, String> {
    let certificate = settings.tls.as_ref().map(Certificate::read).transpose()?;
    let (db, embedded) = store::embedded::open(&settings).await?;
    store::migrate(&db).await?;
    let (listener, address) = listen(settings.listen_addr)?;
    // A public address that was not given names the real port.
    settings.public_url = settings.public_url.replace(&settings.listen_addr.to_string(), &address.to_string());
    allow_many_sockets();

    let (workers, sockets) = (settings.workers, settings.sockets);
    let node = Uuid::new_v4();
    let db = Arc::new(db);
    let (bus, waiting) = Bus::new(node, settings.nats_url.is_some());
    let state = Arc::new(State {
        limits: limits::Limits::new(settings.login_tries, settings.registrations, settings.bad_signatures),
        nonces: identity::Nonces::new(settings.signature_window),
        identities: identity::Identities::default(),
        slates: Arc::default(),
        bodies: Semaphore::new(endpoint::BODIES),
        writes: health::Writes::default(),
        is_stopping: AtomicBool::new(false),
        node,
        bus: Arc::new(bus),
        messages: Writer::new(db.clone()),
        reports: Writer::new(db.clone()),
        names: Names::default(),
        recent: Recent::default(),
        settings,
        db,
    });
    beat(&state).await.map_err(|error| error.to_string())?;
    if embedded.is_some() {
        // A predecessor that was killed is not one whose hints are missed.
        store::presence::alone(&state.db, node).await.map_err(|error| error.to_string())?;
    }

    let shared = state.clone();
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(web::Data::from(shared.clone()))
            .wrap(DefaultHeaders::new().add(("X-Content-Type-Options", "nosniff")).add(("Cache-Control", "no-store")))
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .default_service(web::route().to(endpoint::nowhere));
        // Each path by itself: several in one resource are matched as patterns.
        let app = endpoint::PATHS.iter().fold(app, |app, path| app.service(web::resource(*path).route(web::route().to(endpoint::answer))));
        live::PATHS.iter().fold(app, |app, path| app.service(web::resource(*path).route(web::route().to(live::knock))))
    })
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
        tokio::spawn(hear_of_changed_users(state.clone())),
        tokio::spawn(keep_house(state.clone())),
        tokio::spawn(purge::run(state.clone())),
        tokio::spawn(keep_company(state.clone())),
    ];
    if let (Some(url), Some(waiting)) = (state.settings.nats_url.clone(), waiting) {
        tasks.push(tokio::spawn(bus::run(state.clone(), url, waiting)));
    }
    Ok(Running { address, state, handle, served: tokio::spawn(server), tasks, certificate, embedded })
}

impl Running {
    /// The database's address, as `psql`, `pg_dump` and `sqlx migrate` take it; of an embedded one
    /// only, as another's may hold a password.
    #[must_use]
    pub fn database_url(&self) -> Option<&str> {
        self.embedded.as_ref().map(Embedded::url)
    }

    /// How many messages and reports wait to be stored.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.state.messages.waiting() + self.state.reports.waiting()
    }

    /// The address that clients are told.
    #[must_use]
    pub fn public_url(&self) -> &str {
        &self.state.settings.public_url
    }

    /// Reads the certificate again. Returns whether there is one.
    ///
    /// # Errors
    /// One sentence; the old certificate stays.
    pub fn read_certificate_again(&self) -> Result<bool, String> {
        self.certificate.as_ref().map_or(Ok(false), |certificate| certificate.read_again().map(|()| true))
    }

    /// Takes no more requests, closes sockets, lets requests in flight end, and stops an embedded
    /// database.
    pub async fn stop(self) {
        self.state.is_stopping.store(true, Ordering::Release);
        // While the workers still run: connections live in the one that opened them.
        if let Err(error) = store::presence::end(&self.state.db, self.state.node).await {
            tracing::warn!(%error, "the other nodes will notice a moment later that this one has ended");
        }
        self.state.slates.hang_up(None);
        self.handle.stop(true).await;
        if !matches!(self.served.await, Ok(Ok(()))) {
            tracing::warn!("the server ended with an error");
        }
        for task in self.tasks {
            task.abort();
        }
        self.state.db.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), String> {
    let failed = |error: io::Error| format!("{address} cannot be listened on: {error}");
    let listener = TcpListener::bind(address).map_err(failed)?;
    let real = listener.local_addr().map_err(failed)?;
    Ok((listener, real))
}

/// Every socket is a file. The usual soft limit is for programs that cannot count beyond it.
pub fn allow_many_sockets() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "at most {soft} files and sockets can be open");
    }
}

/// A user who was barred is barred at once, on every node: whoever changes a user says so on a
/// channel of the database. Whatever may have been missed while the channel was away is forgotten.
async fn hear_of_changed_users(state: Arc<State>) {
    loop {
        // One connection, which the library keeps and renews.
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(state.db.options().clone());
        let Ok(mut channel) = PgListener::connect_with(&pool).await else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        if channel.listen(store::user::CHANGED).await.is_err() {
            continue;
        }
        state.identities.forget();
        state.names.forget();
        // `None`: the connection was lost, and is another one now.
        while let Ok(told) = channel.try_recv().await {
            state.identities.forget();
            state.names.forget();
            if let Some(user) = told.and_then(|told| UserId::parse(told.payload())) {
                // One who may still come in connects again.
                state.slates.hang_up(Some(user));
            }
        }
    }
}

async fn keep_house(state: Arc<State>) {
    let mut clock = tokio::time::interval(HOUSEKEEPING);
    loop {
        clock.tick().await;
        state.slates.sweep();
        state.db.sweep();
        state.identities.sweep();
        state.recent.sweep();
    }
}

/// Says that this node lives, and looks after those that do not.
async fn keep_company(state: Arc<State>) {
    let (mut clock, began) = (tokio::time::interval(HEARTBEAT), Instant::now());
    loop {
        clock.tick().await;
        if state.is_stopping() {
            return;
        }
        match beat(&state).await {
            Ok(others) if state.bus.misses_any(&others) => state.forget(),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the database is away"),
        }
        if began.elapsed() > RETURN {
            match chat::presence::reap(&state.db, Timestamp::now()).await {
                Ok(events) => state.announce(&events),
                Err(error) => tracing::debug!(?error, "the database is away"),
            }
        }
    }
}

async fn beat(state: &State) -> sqlx::Result<Vec<Uuid>> {
    let now = Timestamp::now();
    store::presence::beat(&state.db, state.node, now, now.plus(ALIVE)).await
}
