//! A socket's subscription to the pending notifications of its station.

use parlance_wire::version::ClientVersion;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{Notifications, Pending};
use crate::notify::changes::Changes;
use parlance_wire::id::{StationId, UserId};

/// A station that is refused a socket may try again after this.
const RETRY: Duration = Duration::from_secs(30);

/// The user, or the node, holds as many sockets as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySockets {
    /// When it may be tried again.
    pub retry_after: Duration,
}

/// How many sockets a node holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketLimits {
    /// Maximum of one user.
    pub per_user: usize,
    /// Maximum of all users together.
    pub total: usize,
}

/// The registry's end of a subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) version: ClientVersion,
    wake: Notify,
    has_ended: AtomicBool,
}

impl Subscriber {
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// A subscription, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription {
    notifications: Arc<Notifications>,
    user: UserId,
    station: StationId,
    subscriber: Arc<Subscriber>,
    unacked: bool,
}

impl Notifications {
    /// Subscribes to a station's pending notifications. Another socket of the same station ends: it is the station
    /// connected again. Returns the subscription, and whether it is the user's first on this node.
    ///
    /// # Errors
    /// The user, or the node, holds as many sockets as it may.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        user: UserId,
        station: StationId,
        version: ClientVersion,
        limits: SocketLimits,
    ) -> Result<(Subscription, bool), TooManySockets> {
        let mut inner = self.locked();
        let of_user = inner.sockets_of(user);
        let is_again = inner
            .station(user, station)
            .is_some_and(|pending| pending.subscriber.is_some());
        if !is_again
            && (of_user >= limits.per_user
                || inner.subscribers >= limits.total
                || !inner.has_room_for(user))
        {
            return Err(TooManySockets { retry_after: RETRY });
        }
        let subscriber = Arc::new(Subscriber {
            version,
            wake: Notify::new(),
            has_ended: AtomicBool::new(false),
        });
        let pending = inner
            .by_user
            .entry(user)
            .or_default()
            .entry(station)
            .or_insert_with(Pending::new);
        pending.tell_again();
        pending.changes.keep_ids();
        if let Some(other) = pending.subscriber.replace(subscriber.clone()) {
            other.end();
            // Nobody knows which pushes of the other one arrived.
            pending.changes.resync = true;
        } else {
            inner.subscribers += 1;
        }
        Ok((
            Subscription {
                notifications: self.clone(),
                user,
                station,
                subscriber,
                unacked: false,
            },
            of_user == 0,
        ))
    }
}

impl Subscription {
    /// Waits until there may be something to take. Returns `false` once the subscription was replaced or revoked.
    pub(crate) async fn changed(&self) -> bool {
        self.subscriber.wake.notified().await;
        !self.subscriber.has_ended.load(Ordering::Acquire)
    }

    /// Takes what there is to tell; nothing, once the subscription was replaced or revoked. Until [`Subscription::ack`],
    /// nobody knows whether it arrived.
    pub(crate) fn take(&mut self) -> Changes {
        if self.subscriber.has_ended.load(Ordering::Acquire) {
            return Changes::default();
        }
        let mut inner = self.notifications.locked();
        let pending = inner
            .station(self.user, self.station)
            .filter(|pending| is_of(pending, &self.subscriber));
        let changes = pending
            .map(|pending| std::mem::take(&mut pending.changes))
            .unwrap_or_default();
        self.unacked |= !changes.is_empty();
        changes
    }

    /// The peer has shown that all that was taken has arrived.
    pub(crate) fn ack(&mut self) {
        self.unacked = false;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.notifications.locked();
        let Some(pending) = inner
            .station(self.user, self.station)
            .filter(|pending| is_of(pending, &self.subscriber))
        else {
            return;
        };
        pending.subscriber = None;
        pending.polled_at = Instant::now();
        pending.changes.keep_ids();
        // What was pushed last may have been lost with the connection.
        pending.changes.resync |= self.unacked;
        inner.subscribers -= 1;
    }
}

/// Whether this subscriber is still the station's.
fn is_of(pending: &Pending, subscriber: &Arc<Subscriber>) -> bool {
    pending
        .subscriber
        .as_ref()
        .is_some_and(|other| Arc::ptr_eq(other, subscriber))
}
