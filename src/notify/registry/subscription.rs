//! Opens, counts and ends the subscriptions of sockets.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use super::{Feed, Inner, Notifications, Subscriber};
use parlance_wire::{
    id::{StationId, UserId},
    version::ClientVersion,
};

/// Delay after which a station whose socket was refused may try again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// A subscription, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription(Feed);

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The station opened another socket.
    Replaced,
    /// The station was signed out.
    SignedOut,
    /// The user was disabled.
    Disabled,
    /// The user's rights have changed: clients that are still allowed reconnect.
    Again,
    /// The server stops.
    ServerStopping,
}

/// The user, or the node, has the maximum number of sockets open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManySockets {
    /// Delay before the next attempt.
    pub retry_after: Duration,
}

/// Limits of a node's open sockets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SocketLimits {
    /// Maximum per user.
    pub per_user: usize,
    /// Maximum per node.
    pub total: usize,
}

impl Notifications {
    /// Subscribes to a station's pending notifications. This ends another socket of the same
    /// station, as the station has reconnected. Returns the subscription, and `true` if it is the
    /// user's first on this node.
    ///
    /// # Errors
    /// The user, or the node, has the maximum number of sockets open.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        user: UserId,
        station: StationId,
        version: ClientVersion,
        limits: SocketLimits,
    ) -> Result<(Subscription, bool), TooManySockets> {
        let mut inner = self.locked();
        let of_user = inner.sockets_of(user);
        let replaces = inner
            .station(user, station)
            .is_some_and(|pending| pending.subscriber.is_some());
        // Replacing a socket is never refused: otherwise a client that reconnects before its old
        // socket timed out would be locked out by it.
        if !replaces
            && (of_user >= limits.per_user
                || inner.subscribers >= limits.total
                || !inner.has_room_for(user))
        {
            return Err(TooManySockets {
                retry_after: RETRY_AFTER,
            });
        }
        let subscriber = Arc::new(Subscriber::new(version));
        let pending = inner.station_or_new(user, station);
        pending.redeliver();
        // Rows for an earlier socket follow frames that may never have arrived.
        pending.changes.keep_ids();
        if let Some(other) = pending.subscriber.replace(subscriber.clone()) {
            other.end(End::Replaced);
            // It is unknown which pushes of the other socket arrived.
            pending.changes.resync = true;
        } else {
            inner.subscribers += 1;
        }
        Ok((
            Subscription(Feed {
                notifications: self.clone(),
                user,
                station,
                subscriber,
            }),
            of_user == 0,
        ))
    }

    /// The number of open sockets, and of stations with pending notifications.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let inner = self.locked();
        let stations = inner.by_user.values().map(HashMap::len).sum();
        (inner.subscribers, stations)
    }

    /// Returns `true` if a socket of this user is open here.
    pub(crate) fn has_socket(&self, user: UserId) -> bool {
        self.sockets_of(user) > 0
    }

    /// How many sockets a user has open here.
    pub(crate) fn sockets_of(&self, user: UserId) -> usize {
        self.locked().sockets_of(user)
    }

    /// Returns `true` if this station has a socket open here.
    pub(crate) fn has_socket_of(&self, user: UserId, station: StationId) -> bool {
        let mut inner = self.locked();
        let pending = inner.station(user, station);
        pending.is_some_and(|pending| pending.subscriber.is_some())
    }

    /// How many sockets each user has open here, if any.
    pub(crate) fn sockets(&self) -> HashMap<UserId, usize> {
        let inner = self.locked();
        let users = inner.by_user.keys().copied();
        users
            .map(|user| (user, inner.sockets_of(user)))
            .filter(|(_, sockets)| *sockets > 0)
            .collect()
    }

    /// The stations with a socket on this node, of one user or of everyone.
    pub(crate) fn stations_with_sockets(&self, whose: Option<UserId>) -> Vec<(UserId, StationId)> {
        let inner = self.locked();
        let mut found = vec![];
        for (user, stations) in &inner.by_user {
            if whose.is_none_or(|whose| whose == *user) {
                let open = stations
                    .iter()
                    .filter(|(_, pending)| pending.subscriber.is_some());
                found.extend(open.map(|(station, _)| (*user, *station)));
            }
        }
        found
    }

    /// Ends the subscription of a station.
    pub(crate) fn disconnect(&self, user: UserId, station: StationId, end: End) {
        // Only signalled: the socket's task drops the subscription itself, which takes this lock.
        let mut inner = self.locked();
        let pending = inner.station(user, station);
        if let Some(subscriber) = pending.and_then(|pending| pending.subscriber.as_ref()) {
            subscriber.end(end);
        }
    }
}

impl Inner {
    fn sockets_of(&self, user: UserId) -> usize {
        self.by_user.get(&user).map_or(0, |stations| {
            stations
                .values()
                .filter(|pending| pending.subscriber.is_some())
                .count()
        })
    }
}

impl Subscription {
    /// The feed of its changes, which is empty once the subscription is dropped.
    pub(crate) fn feed(&self) -> Feed {
        self.0.clone()
    }

    /// Waits until the subscription is replaced or revoked. Returns the reason.
    pub(crate) async fn ended(&self) -> End {
        // `notify_one` keeps a permit: an end between the check and the wait is not missed.
        loop {
            if let Some(end) = self.0.subscriber.ended.get() {
                return *end;
            }
            self.0.subscriber.end.notified().await;
        }
    }

    /// The station whose socket it is.
    pub(crate) fn station(&self) -> StationId {
        self.0.station
    }

    /// Returns `true` if the peer has not acknowledged all that was taken, or something is pending.
    pub(crate) fn is_unconfirmed(&self) -> bool {
        let mut inner = self.0.notifications.locked();
        let pending = inner.station_of(&self.0);
        self.0.subscriber.unacked.load(Ordering::Acquire)
            || pending.is_some_and(|pending| !pending.changes.is_empty())
    }

    /// Records that the peer has acknowledged everything that was taken.
    pub(crate) fn ack(&self) {
        self.0.subscriber.unacked.store(false, Ordering::Release);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Self(feed) = self;
        let mut inner = feed.notifications.locked();
        let Some(pending) = inner.station_of(feed) else {
            return;
        };
        pending.subscriber = None;
        pending.polled_at = Instant::now();
        pending.changes.keep_ids();
        // The last pushes may have been lost with the connection, as TCP only says that they were
        // buffered.
        pending.changes.resync |= feed.subscriber.unacked.load(Ordering::Acquire);
        inner.subscribers -= 1;
    }
}
