//! What requests and background tasks share: one per server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    export::Exports, health, keys::Keys, limits::Limits, load::Load, metrics::Metrics,
    nonces::Nonces, presence::Presence, refusals::Refusals,
};
use crate::{
    chat::{Services, server_identity::ServerIdentity},
    notify::{bus::Bus, event::Event, nodes::Nodes, registry::Notifications, resync::Resync},
    settings::Settings,
    store::Db,
};

/// What requests and background tasks share.
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
    pub limits: Limits,
    pub load: Load,
    pub exports: Exports,
    /// An account was deleted here: its messages are to be erased.
    pub erasure: Notify,
    pub checks: health::Checks,
    pub refusals: Refusals,
    pub metrics: Metrics,
    // Read by each handshake: a socket that opens now would delay the stop.
    pub is_stopping: AtomicBool,
}

impl State {
    /// The state of a server that is about to start: nothing cached, nobody connected.
    pub(super) fn new(
        settings: Settings,
        db: Db,
        identity: ServerIdentity,
        node: Uuid,
        bus: Bus,
    ) -> Self {
        Self {
            limits: Limits::new(
                settings.login_tries,
                settings.registrations,
                settings.bad_signatures,
            ),
            nonces: Nonces::new(settings.signature_window),
            keys: Keys::default(),
            notifications: Arc::default(),
            resync: Arc::default(),
            nodes: Nodes::default(),
            presence: Presence::default(),
            load: Load::new(settings.requests_per_user),
            exports: Exports::default(),
            erasure: Notify::new(),
            checks: health::Checks::default(),
            refusals: Refusals::default(),
            metrics: Metrics::default(),
            is_stopping: AtomicBool::new(false),
            node,
            bus: Arc::new(bus),
            services: Services::new(db, identity, &settings),
            settings,
        }
    }

    /// Announces events to stations here and to the other nodes. Call it after the commit, never before.
    pub(super) fn announce(&self, events: &[Event]) {
        self.notifications.announce(events);
        self.bus.publish(events);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}
