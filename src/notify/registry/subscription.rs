//! A socket's subscription to the pending notifications of its station.

use parlance_wire::version::ClientVersion;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::{Notifications, pending::Pending};
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

/// Why a subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The station opened another socket.
    Replaced,
    /// The station was signed out, or its user disabled.
    SignedOut,
    /// The server stops.
    ServerStopping,
}

/// The registry's end of a subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) version: ClientVersion,
    /// Something was added since the feed looked last.
    changed: AtomicBool,
    /// What was taken last may not have arrived.
    unacked: AtomicBool,
    /// The task that writes to the socket.
    // Not a `Notify`: each push wakes it, and a waker costs neither a lock nor a list of waiters.
    task: AtomicWaker,
    /// Set once: what ended it first is what its client is told.
    ended: OnceLock<End>,
    end: Notify,
}

impl Subscriber {
    pub(super) fn wake(&self) {
        // A task that was woken and has not looked yet will find this, too.
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    pub(super) fn end(&self, end: End) {
        let _ = self.ended.set(end);
        self.end.notify_one();
    }
}

/// A subscription, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription(Feed);

/// What a subscription brings, for the task that writes to the socket.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    notifications: Arc<Notifications>,
    user: UserId,
    station: StationId,
    subscriber: Arc<Subscriber>,
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
            changed: AtomicBool::new(false),
            unacked: AtomicBool::new(false),
            task: AtomicWaker::new(),
            ended: OnceLock::new(),
            end: Notify::new(),
        });
        let pending = inner
            .by_user
            .entry(user)
            .or_default()
            .entry(station)
            .or_insert_with(Pending::new);
        pending.redeliver();
        pending.changes.keep_ids();
        if let Some(other) = pending.subscriber.replace(subscriber.clone()) {
            other.end(End::Replaced);
            // Nobody knows which pushes of the other one arrived.
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
}

impl Subscription {
    /// What it brings. Once the subscription is dropped, the feed brings nothing.
    pub(crate) fn feed(&self) -> Feed {
        self.0.clone()
    }

    /// Waits until the subscription was replaced or revoked. Returns why it ended.
    pub(crate) async fn ended(&self) -> End {
        loop {
            if let Some(end) = self.0.subscriber.ended.get() {
                return *end;
            }
            self.0.subscriber.end.notified().await;
        }
    }

    /// The peer has shown that all that was taken has arrived.
    pub(crate) fn ack(&self) {
        self.0.subscriber.unacked.store(false, Ordering::Release);
    }
}

impl Feed {
    /// Ready when there may be something to take that was not there at the last call.
    pub(crate) fn poll_changed(&self, context: &Context<'_>) -> Poll<()> {
        // Before the look, so that what is added in between wakes the task.
        self.subscriber.task.register(context.waker());
        if self.subscriber.changed.swap(false, Ordering::AcqRel) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes what is pending; nothing, once the subscription was replaced, revoked or dropped. Until
    /// [`Subscription::ack`], nobody knows whether it arrived.
    pub(crate) fn take(&self) -> Changes {
        if self.subscriber.ended.get().is_some() {
            return Changes::default();
        }
        let mut inner = self.notifications.locked();
        let Some(pending) = inner
            .station(self.user, self.station)
            .filter(|pending| is_of(pending, &self.subscriber))
        else {
            return Changes::default();
        };
        let changes = std::mem::take(&mut pending.changes);
        // Under the lock: if the subscription ends right after, it has to know.
        if !changes.is_empty() {
            self.subscriber.unacked.store(true, Ordering::Release);
        }
        changes
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Feed {
            notifications,
            user,
            station,
            subscriber,
        } = &self.0;
        let mut inner = notifications.locked();
        let Some(pending) = inner
            .station(*user, *station)
            .filter(|pending| is_of(pending, subscriber))
        else {
            return;
        };
        pending.subscriber = None;
        pending.polled_at = Instant::now();
        pending.changes.keep_ids();
        // What was pushed last may have been lost with the connection.
        pending.changes.resync |= subscriber.unacked.load(Ordering::Acquire);
        inner.subscribers -= 1;
    }
}

/// Returns `true` if this subscriber is still the station's.
fn is_of(pending: &Pending, subscriber: &Arc<Subscriber>) -> bool {
    pending
        .subscriber
        .as_ref()
        .is_some_and(|other| Arc::ptr_eq(other, subscriber))
}
