//! HTTP: starts the server, and stops it. What production starts is what tests start.

mod endpoint;
mod health;
mod identity;
mod limits;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpServer, dev::ServerHandle, middleware::DefaultHeaders, web};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::task::JoinHandle;

use crate::{
    chat::slate::Slates,
    settings::Settings,
    store::{self, Db, embedded::Embedded},
};

/// Requests in flight get so long to end once the server stops.
const GRACE_SECONDS: u64 = 5;
/// How often idle slates are looked for, and cleared rows deleted.
const HOUSEKEEPING: Duration = Duration::from_mins(1);
/// A peer that does not finish its request's head in this time is dropped.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is kept for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What every request may use.
struct State {
    settings: Settings,
    db: Db,
    slates: Slates,
    identities: identity::Identities,
    nonces: identity::Nonces,
    limits: limits::LoginLimits,
    is_stopping: AtomicBool,
}

/// A server that runs.
pub struct Running {
    /// Where it listens: the real port, where 0 was asked for.
    pub address: SocketAddr,
    state: Arc<State>,
    handle: ServerHandle,
    served: JoinHandle<io::Result<()>>,
    tasks: Vec<JoinHandle<()>>,
    embedded: Option<Embedded>,
}

/// Starts the database if it is ours, brings it up to date, and serves.
///
/// # Errors
/// One sentence for a person.
pub async fn start(mut settings: Settings) -> Result<Running, String> {
    let (db, embedded) = store::embedded::open(&settings).await?;
    store::migrate(&db).await?;
    // The port is taken before the state is made: a public address that was not given names it.
    let listener = std::net::TcpListener::bind(settings.listen_addr)
        .map_err(|error| format!("{} cannot be listened on: {error}", settings.listen_addr))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    if settings.public_url == format!("http://{}", settings.listen_addr) {
        settings.public_url = format!("http://{address}");
    }
    let (workers, body_bytes) = (settings.workers, settings.max_body_bytes);
    let state = Arc::new(State {
        limits: limits::LoginLimits::new(settings.login_tries),
        nonces: identity::Nonces::new(settings.signature_window),
        identities: identity::Identities::default(),
        slates: Slates::default(),
        is_stopping: AtomicBool::new(false),
        settings,
        db,
    });
    let shared = state.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(shared.clone()))
            .app_data(web::PayloadConfig::new(body_bytes))
            .wrap(DefaultHeaders::new().add(("X-Content-Type-Options", "nosniff")).add(("Cache-Control", "no-store")))
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .service(web::resource(endpoint::PATHS).route(web::route().to(endpoint::answer)))
            .default_service(web::route().to(endpoint::nowhere))
    })
    .workers(workers)
    .client_request_timeout(HEAD_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(GRACE_SECONDS)
    .disable_signals()
    .listen(listener)
    .map_err(|error| error.to_string())?
    .run();
    let handle = server.handle();
    let tasks = vec![tokio::spawn(hear_of_changed_users(state.clone())), tokio::spawn(keep_house(state.clone()))];
    Ok(Running { address, state, handle, served: tokio::spawn(server), tasks, embedded })
}

impl Running {
    /// The database's address, as `psql`, `pg_dump` and `sqlx migrate` take it; of an embedded one
    /// only, as another's may hold a password.
    #[must_use]
    pub fn database_url(&self) -> Option<&str> {
        self.embedded.as_ref().map(Embedded::url)
    }

    /// Takes no more requests, lets those in flight end, and stops an embedded database.
    pub async fn stop(self) {
        self.state.is_stopping.store(true, Ordering::Release);
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
        // `None`: the connection was lost, and is another one now.
        while let Ok(_told) = channel.try_recv().await {
            state.identities.forget();
        }
    }
}

async fn keep_house(state: Arc<State>) {
    let mut clock = tokio::time::interval(HOUSEKEEPING);
    loop {
        clock.tick().await;
        state.slates.sweep();
        state.db.sweep();
        if let Err(error) = store::purge::cleared(&state.db).await {
            tracing::warn!(%error, "cleared rows were not deleted; the next round tries again");
        }
    }
}
