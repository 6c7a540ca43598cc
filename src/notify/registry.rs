//! Pending notifications: the changes that each station has not been notified of. They are a cache and may be lost; then
//! the station has to resync. Notifying too often is allowed, too seldom never (docs/api.md, chatnotification).
//!
//! A station either polls, or has a socket that subscribes. A socket takes the changes whenever it can write: so a
//! slow reader costs a set of ids, not a queue. What is particular to polls is in [`poll`].

mod poll;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use self::poll::InFlight;
pub(crate) use self::poll::{Fetched, Poll};
use super::{
    changes::{Changes, Order},
    event::{Event, NewRow},
};
use parlance_wire::{
    id::{StationId, UserId},
    version::ClientVersion,
};

/// Maximum users whose stations are kept (a user has at most 100 stations). Stations of further users have to
/// resync at each poll.
const MAX_USERS: usize = 100_000;
/// Recipients per lock hold.
// A group may have thousands, and polls of everyone wait for this lock.
const CHUNK: usize = 500;
/// Pending notifications that are not polled for in this time are dropped.
// A client that runs polls far more often; one that comes back later resyncs.
const IDLE: Duration = Duration::from_mins(15);
/// Delay after which a station that was refused a socket may try again.
const RETRY: Duration = Duration::from_secs(30);

/// The pending notifications of all stations that this node knows.
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
    /// What it understood when it polled last.
    polls_as: ClientVersion,
    /// The station's socket.
    subscriber: Option<Arc<Subscriber>>,
}

/// The registry's end of a subscription.
#[derive(Debug)]
struct Subscriber {
    version: ClientVersion,
    /// Something was added since the feed was last polled.
    changed: AtomicBool,
    /// The changes taken last may not have arrived.
    unacked: AtomicBool,
    /// The task that writes to the socket.
    // Not a `Notify`: each push wakes it, and a waker costs neither a lock nor a list of waiters.
    task: AtomicWaker,
    /// Set once: what ended it first is what its client is told.
    ended: OnceLock<End>,
    end: Notify,
}

/// A subscription, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription(Feed);

/// The changes of a subscription, for the task that writes to the socket.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    notifications: Arc<Notifications>,
    user: UserId,
    station: StationId,
    subscriber: Arc<Subscriber>,
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

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The station opened another socket.
    Replaced,
    /// The station was signed out.
    SignedOut,
    /// The user was disabled.
    Disabled,
    /// What the user may do has changed: whoever is still allowed in connects again.
    Again,
    /// The server stops.
    ServerStopping,
}

impl Notifications {
    /// Subscribes to a station's pending notifications. Another socket of the same station ends: it is the station
    /// connected again. Returns the subscription, and `true` if it is the user's first on this node.
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
        // Replacing one is never refused: a client that reconnects before its old socket timed out would else be locked
        // out by it.
        if !replaces
            && (of_user >= limits.per_user
                || inner.subscribers >= limits.total
                || !inner.has_room_for(user))
        {
            return Err(TooManySockets { retry_after: RETRY });
        }
        let subscriber = Arc::new(Subscriber {
            version,
            changed: AtomicBool::new(false),
            unacked: AtomicBool::new(false),
            task: AtomicWaker::new(),
            ended: OnceLock::new(),
            end: Notify::new(),
        });
        let pending = inner.station_or_new(user, station);
        pending.redeliver();
        // Rows that were meant for an earlier socket follow on frames that may never have arrived.
        pending.changes.keep_ids();
        if let Some(other) = pending.subscriber.replace(subscriber.clone()) {
            other.end(End::Replaced);
            // It is not known which pushes of the other one arrived.
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
    /// New rows are passed on only if they follow what was announced of their conversation before: a client that appends
    /// others would miss what is announced later, or by another node.
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            // Held until every recipient has the rows, which the next rows of the conversation could otherwise overtake.
            // Always taken before `inner`, never while that is held, so the two cannot deadlock.
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

    /// Something may have happened that cannot be announced: every station has to resync.
    // A station that polls is forgotten: at its next poll it is not known, and has to resync.
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

    /// Drops the pending notifications of stations that have neither polled lately nor a socket.
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

    /// How many sockets each user has open here, if any.
    pub(crate) fn sockets(&self) -> HashMap<UserId, usize> {
        let inner = self.locked();
        let users = inner.by_user.keys().copied();
        users
            .map(|user| (user, inner.sockets_of(user)))
            .filter(|(_, sockets)| *sockets > 0)
            .collect()
    }

    /// The stations that have a socket open here: of one user, or of everyone.
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
        // Only signalled: a socket's task drops the subscription itself, which takes this lock.
        let mut inner = self.locked();
        let pending = inner.station(user, station);
        if let Some(subscriber) = pending.and_then(|pending| pending.subscriber.as_ref()) {
            subscriber.end(end);
        }
    }

    /// Ends all subscriptions, as the server stops.
    pub(crate) fn disconnect_all(&self) {
        for stations in self.locked().by_user.values() {
            for pending in stations.values() {
                if let Some(subscriber) = &pending.subscriber {
                    subscriber.end(End::ServerStopping);
                }
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock; if it did, sets of ids are still sets of ids.
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

    /// The station of a feed, unless another socket has replaced the feed's, or none is left.
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
    /// For a station that was not known, which has to resync.
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

impl Subscriber {
    fn wake(&self) {
        // A task that was woken and has not run yet will find this change, too.
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    fn end(&self, end: End) {
        let _ = self.ended.set(end);
        self.end.notify_one();
    }
}

impl Subscription {
    /// The feed of its changes, which is empty once the subscription is dropped.
    pub(crate) fn feed(&self) -> Feed {
        self.0.clone()
    }

    /// Waits until the subscription was replaced or revoked. Returns why it ended.
    pub(crate) async fn ended(&self) -> End {
        // `notify_one` keeps a permit: an end between the check and the wait is not missed.
        loop {
            if let Some(end) = self.0.subscriber.ended.get() {
                return *end;
            }
            self.0.subscriber.end.notified().await;
        }
    }

    /// The peer has acknowledged everything that was taken.
    pub(crate) fn ack(&self) {
        self.0.subscriber.unacked.store(false, Ordering::Release);
    }
}

impl Feed {
    /// Ready when something may have been added since the last call.
    pub(crate) fn poll_changed(&self, context: &task::Context<'_>) -> task::Poll<()> {
        // Registered before the check, so that a change in between wakes the task.
        self.subscriber.task.register(context.waker());
        if self.subscriber.changed.swap(false, Ordering::AcqRel) {
            task::Poll::Ready(())
        } else {
            task::Poll::Pending
        }
    }

    /// Takes what is pending; nothing, once the subscription was replaced, revoked or dropped. Until
    /// [`Subscription::ack`], it counts as possibly lost.
    pub(crate) fn take(&self) -> Changes {
        if self.subscriber.ended.get().is_some() {
            return Changes::default();
        }
        let mut inner = self.notifications.locked();
        let Some(pending) = inner.station_of(self) else {
            return Changes::default();
        };
        let changes = std::mem::take(&mut pending.changes);
        // Under the lock: a subscription that is dropped right after has to see it, and make the station resync.
        if !changes.is_empty() {
            self.subscriber.unacked.store(true, Ordering::Release);
        }
        changes
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
        // The last pushes may have been lost with the connection: TCP says only that they were buffered.
        pending.changes.resync |= feed.subscriber.unacked.load(Ordering::Acquire);
        inner.subscribers -= 1;
    }
}

#[cfg(test)]
mod tests;
