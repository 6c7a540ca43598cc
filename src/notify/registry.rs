//! Pending notifications: the changes that each station has not yet been notified of. They are a
//! cache and may be lost, and then the station has to resync. Notifying too often is allowed, too
//! rarely is not (docs/api.md, chatnotification).
//!
//! A station either polls, or subscribes with a socket. A socket takes the changes when it can
//! write, so a slow reader costs a set of ids instead of a queue. Polls are handled in [`poll`].

mod poll;
mod subscription;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use self::{poll::InFlight, subscription::Subscriber};
pub(crate) use self::{
    poll::{Fetched, Poll},
    subscription::{End, Feed, Subscription},
};
use super::{
    changes::{Changes, Order},
    event::{Event, NewRow},
};
use parlance_wire::{
    id::{StationId, UserId},
    version::ClientVersion,
};

/// Maximum users whose stations are kept (a user has at most 100 stations). Stations of further
/// users have to resync at each poll.
const MAX_USERS: usize = 100_000;
/// Recipients per lock hold.
// A group may have thousands of recipients, and everyone's polls wait for this lock.
const CHUNK: usize = 500;
/// Pending notifications that are not polled for this long are dropped.
// A running client polls far more often; one that returns later resyncs.
const IDLE: Duration = Duration::from_mins(15);
/// Delay after which a station whose socket was refused may try again.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The pending notifications of all stations known to this node.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    inner: Mutex<Inner>,
    order: Order,
}

#[derive(Debug, Default)]
struct Inner {
    by_user: HashMap<UserId, HashMap<StationId, Pending>>,
    subscribers: usize,
}

/// The pending notifications of one station.
#[derive(Debug)]
struct Pending {
    changes: Changes,
    /// The answer to the last poll, until the station acknowledges it.
    in_flight: Option<InFlight>,
    polled_at: Instant,
    /// The client version of its last poll.
    polls_as: ClientVersion,
    /// The station's socket.
    subscriber: Option<Arc<Subscriber>>,
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

    /// Adds events to the pending notifications of all recipients.
    ///
    /// New rows are only passed on if they follow what was announced of their conversation before:
    /// a client that appended others would miss rows that are announced later, or by another node.
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            // Held until every recipient has the rows, as the conversation's next rows could
            // otherwise overtake them. Always taken before `inner` and never while that is held, so
            // the two cannot deadlock.
            let (_turn, rows) = self.order.rows(event);
            for recipients in event.recipients().chunks(CHUNK) {
                let mut inner = self.locked();
                for user in recipients {
                    for (station, pending) in inner.by_user.get_mut(user).into_iter().flatten() {
                        if event.is_for(*station) {
                            pending.add(event, rows);
                        }
                    }
                }
            }
        }
    }

    /// Makes every station resync, as something may have happened that cannot be announced.
    // A polling station is forgotten: at its next poll it is unknown, and has to resync.
    pub(crate) fn resync_all(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, pending| match &pending.subscriber {
                None => false,
                Some(subscriber) => {
                    pending.changes.become_resync();
                    subscriber.wake();
                    true
                }
            });
            !stations.is_empty()
        });
    }

    /// Drops the pending notifications of stations that have neither polled recently nor a socket.
    pub(crate) fn evict_idle(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, pending| !pending.is_idle());
            !stations.is_empty()
        });
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

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock is held cannot leave a set half-changed, so a poisoned lock is
        // still good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn station(&mut self, user: UserId, station: StationId) -> Option<&mut Pending> {
        self.by_user.get_mut(&user)?.get_mut(&station)
    }

    fn station_or_new(&mut self, user: UserId, station: StationId) -> &mut Pending {
        let stations = self.by_user.entry(user).or_default();
        stations.entry(station).or_insert_with(Pending::new)
    }

    /// A feed's station, unless another socket has replaced the feed's, or the station is gone.
    fn station_of(&mut self, feed: &Feed) -> Option<&mut Pending> {
        self.station(feed.user, feed.station).filter(|pending| {
            let subscriber = pending.subscriber.as_ref();
            subscriber.is_some_and(|subscriber| Arc::ptr_eq(subscriber, &feed.subscriber))
        })
    }

    fn has_room_for(&self, user: UserId) -> bool {
        self.by_user.len() < MAX_USERS || self.by_user.contains_key(&user)
    }

    fn sockets_of(&self, user: UserId) -> usize {
        self.by_user.get(&user).map_or(0, |stations| {
            stations
                .values()
                .filter(|pending| pending.subscriber.is_some())
                .count()
        })
    }
}

impl Pending {
    /// The pending notifications of an unknown station, which has to resync.
    fn new() -> Self {
        Self {
            changes: Changes::resync(),
            in_flight: None,
            polled_at: Instant::now(),
            polls_as: ClientVersion::V3,
            subscriber: None,
        }
    }

    fn is_idle(&self) -> bool {
        self.subscriber.is_none() && self.polled_at.elapsed() >= IDLE
    }

    fn add(&mut self, event: &Event, rows: &[Arc<NewRow>]) {
        let subscriber = self.subscriber.as_ref();
        if matches!(event, Event::StationAdded { .. })
            && subscriber.is_some_and(|subscriber| !subscriber.version.is_v4())
        {
            return;
        }
        let version = match (subscriber, event) {
            (Some(subscriber), _) => subscriber.version,
            (None, Event::Erased { .. }) => self.polls_as,
            // A poll gets no rows, whatever the version.
            (None, _) => ClientVersion::V3,
        };
        self.changes.add(event, rows, version);
        if let Some(subscriber) = subscriber.filter(|_| !self.changes.is_empty()) {
            subscriber.wake();
        }
    }
}

#[cfg(test)]
mod tests;
