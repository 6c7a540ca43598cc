//! A running server: its addresses, and how it stops.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::dev::ServerHandle;
use chrono::TimeDelta;
use parlance_client::keys;
use parlance_wire::key::SecretHash;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    error::{CertificateError, FirstLinkError},
    state::State,
    tls::Certificate,
};
use crate::{
    notify::registry::{End, Notifications},
    settings::{Registration, invite_link, leads_nowhere},
    store::{self, embedded::Embedded},
    telemetry::with_causes,
};

/// Lifetime of the link for the first user. Each start makes a new one.
const FIRST_LINK_LIFETIME: TimeDelta = TimeDelta::days(7);
/// Maximum time to record this node's end in the database.
// A database that is away must not delay the stop: the others then notice the end when this node's heartbeats stop.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// All sockets are closed in at most this many steps,
const CLOSING_STEPS: usize = 200;
/// with this pause after each.
// Each client opens its next socket at once. If all did so in the same moment, they would wait for each other.
const CLOSING_STEP: Duration = Duration::from_millis(10);

/// A running server.
pub struct Running {
    /// The address that it listens on, with the real port if 0 was asked for.
    pub address: SocketAddr,
    /// The address of `/metrics`, if that is served.
    pub metrics_address: Option<SocketAddr>,
    pub(super) metrics_handle: Option<ServerHandle>,
    pub(super) state: Arc<State>,
    pub(super) handle: ServerHandle,
    pub(super) served: JoinHandle<io::Result<()>>,
    pub(super) tasks: Vec<JoinHandle<()>>,
    pub(super) certificate: Option<Arc<Certificate>>,
    pub(super) embedded: Option<Embedded>,
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

    /// Makes the link with which the first user registers, an admin. Returns `None` if there are users, or if nobody may
    /// register.
    ///
    /// # Errors
    /// The database is away, or the system has no random numbers.
    pub fn first_link(
        &self,
    ) -> impl Future<Output = Result<Option<String>, FirstLinkError>> + use<> {
        let state = self.state.clone();
        async move {
            let settings = &state.settings;
            if settings.registration == Registration::Closed {
                return Ok(None);
            }
            let code = keys::random_secret()?;
            let now = settings.clock.now();
            let (hash, expires) = (SecretHash::of(&code), now.plus(FIRST_LINK_LIFETIME));
            let stored =
                store::invite::insert_first(&state.services.db, &hash, now, expires).await?;
            // If nobody can connect to the address, the first user opens the link on this machine.
            let mut url = settings.public_url.clone();
            if leads_nowhere(&url) {
                url = url.replace(&settings.listen_addr.ip().to_string(), "localhost");
            }
            Ok(stored.then(|| invite_link(&url, &code)))
        }
    }

    /// Reads the certificate again. Returns `false` if the server has none.
    ///
    /// # Errors
    /// The files cannot be used. The old certificate stays in use.
    pub fn read_certificate_again(&self) -> Result<bool, CertificateError> {
        self.certificate.as_ref().map_or(Ok(false), |certificate| {
            certificate.read_again().map(|()| true)
        })
    }

    /// Stops: accepts no more connections, closes sockets in turn, waits for requests in flight, and stops an embedded database.
    pub async fn stop(self) {
        // First, so that `/readyz` sends no more clients here, and no new socket opens.
        self.state.is_stopping.store(true, Ordering::Release);
        // Before the sockets are closed, so that their clients are not let in here again.
        let stopped = self.handle.stop(true);
        // Sockets do not end by themselves: the graceful stop would wait for them until it times out.
        tokio::join!(stopped, close_sockets(&self.state.notifications));
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
        self.state.refusals.log_summary();
        // Late, so that the metrics show the stop, too.
        if let Some(metrics) = self.metrics_handle {
            metrics.stop(false).await;
        }
        for task in self.tasks {
            task.abort();
        }
        // After the tasks: a heartbeat on a closed pool would log a failure.
        self.state.services.db.close().await;
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

async fn close_sockets(notifications: &Notifications) {
    let open = notifications.stations_with_sockets(None);
    let in_a_step = open.len().div_ceil(CLOSING_STEPS).max(1);
    for some in open.chunks(in_a_step) {
        for (user, station) in some {
            notifications.disconnect(*user, *station, End::ServerStopping);
        }
        sleep(CLOSING_STEP).await;
    }
}

async fn announce_end(state: &State) -> store::error::Result<()> {
    timeout(
        END_TIMEOUT,
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
