//! The state shared by requests and background tasks; one per server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parlance_wire::id::{StationId, UserId};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    address,
    error::StartError,
    export::Exports,
    health,
    keys::Keys,
    limits::{AttemptLimits, Logins},
    load::Load,
    metrics::Metrics,
    nonces::Nonces,
    presence::Presence,
    refusals::Refusals,
    tls::Certificate,
    typing::Typing,
};
use crate::{
    chat::{Services, server_identity::ServerIdentity},
    notify::{bus::Bus, event::Event, nodes::Nodes, registry::Notifications, resync::Resync},
    settings::Settings,
    store::Db,
};

/// The state shared by requests and background tasks.
pub(super) struct State {
    pub settings: Settings,
    pub services: Services,
    pub node: Uuid,
    pub notifications: Arc<Notifications>,
    pub bus: Arc<Bus>,
    pub resync: Arc<Resync>,
    pub nodes: Nodes,
    pub presence: Presence,
    pub keys: Keys,
    pub nonces: Nonces,
    pub limits: AttemptLimits,
    pub logins: Logins,
    pub typing: Typing,
    pub load: Load,
    pub exports: Exports,
    /// Notified when an account was deleted here, so that its messages are erased.
    pub erasure: Notify,
    pub checks: health::Checks,
    pub refusals: Refusals,
    pub proxies: address::Warnings,
    pub metrics: Metrics,
    /// The server's certificate, if it serves TLS itself.
    pub certificate: Option<Arc<Certificate>>,
    // Checked by each handshake, as a socket that opens now would delay the shutdown.
    pub is_stopping: AtomicBool,
}

impl State {
    /// The state of a server that is about to start, with empty caches and no connections.
    pub(super) fn new(
        settings: Settings,
        db: Db,
        identity: ServerIdentity,
        node: Uuid,
        bus: Bus,
        certificate: Option<Arc<Certificate>>,
    ) -> Result<Self, StartError> {
        Ok(Self {
            limits: AttemptLimits::new(
                settings.login_tries,
                settings.registrations,
                settings.bad_signatures,
                &settings.clock,
            ),
            logins: Logins::new(settings.logins, &settings.clock),
            typing: Typing::new(&settings.clock),
            nonces: Nonces::new(settings.signature_window, &settings.clock),
            keys: Keys::new(settings.per_user, &settings.clock).map_err(StartError::StandIn)?,
            notifications: Arc::default(),
            resync: Arc::default(),
            nodes: Nodes::default(),
            presence: Presence::default(),
            load: Load::new(settings.requests_per_user),
            exports: Exports::new(&settings.timings, &settings.clock),
            erasure: Notify::new(),
            checks: health::Checks::default(),
            refusals: Refusals::default(),
            proxies: address::Warnings::default(),
            metrics: Metrics::new(db.counters()),
            certificate,
            is_stopping: AtomicBool::new(false),
            node,
            bus: Arc::new(bus),
            services: Services::new(db, identity, &settings),
            settings,
        })
    }

    /// Announces events to stations of this node and to the other nodes. To be called after the
    /// commit, never before.
    pub(super) fn announce(&self, events: &[Event]) {
        self.notifications.announce(events);
        self.bus.publish(events);
        if let Some(push) = &self.services.push {
            push.announce(events);
        }
    }

    /// Announces events after a while each.
    // Not stored: if this node ends before, every station resyncs.
    pub(super) fn announce_later(self: &Arc<Self>, events: Vec<(Duration, Event)>) {
        for (delay, event) in events {
            let state = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                state.announce(&[event]);
            });
        }
    }

    /// Notes that a station's socket was opened or closed. `is_unconfirmed`: something that was sent to
    /// it may not have arrived.
    pub(super) fn socket_changed(&self, user: UserId, station: StationId, is_unconfirmed: bool) {
        if let Some(push) = &self.services.push {
            push.socket_changed(user, station, is_unconfirmed);
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}
