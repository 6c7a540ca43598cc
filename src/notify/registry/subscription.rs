//! A socket's subscription to the pending notifications of its station.

use parlance_wire::version::ClientVersion;
use std::{
    sync::{
        Arc,
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

/// Delay after which a station that was refused a socket may try again.
const RETRY: Duration = Duration::from_secs(30);

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

/// The registry's end of a subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) version: ClientVersion,
    /// Something was added since the feed was last polled.
    changed: AtomicBool,
    /// The changes taken last may not have arrived.
    unacked: AtomicBool,
    /// The task that writes to the socket.
    // Not a `Notify`: each push wakes it, and a waker costs neither a lock nor a list of waiters.
    task: AtomicWaker,
    ended: AtomicBool,
    end: Notify,
}

impl Subscriber {
    pub(super) fn wake(&self) {
        // A task that was woken and has not run yet will find this change, too.
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.notify_one();
    }
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
            ended: AtomicBool::new(false),
            end: Notify::new(),
        });
        let pending = inner
            .by_user
            .entry(user)
            .or_default()
            .entry(station)
            .or_insert_with(Pending::new);
        pending.redeliver();
        // Rows that were meant for an earlier socket follow on frames that may never have arrived.
        pending.changes.keep_ids();
        if let Some(other) = pending.subscriber.replace(subscriber.clone()) {
            other.end();
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
}

impl Subscription {
    /// The feed of its changes, which is empty once the subscription is dropped.
    pub(crate) fn feed(&self) -> Feed {
        self.0.clone()
    }

    /// Waits until the subscription was replaced or revoked.
    pub(crate) async fn ended(&self) {
        // `notify_one` keeps a permit: an end between the check and the wait is not missed.
        while !self.0.subscriber.ended.load(Ordering::Acquire) {
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
    pub(crate) fn poll_changed(&self, context: &Context<'_>) -> Poll<()> {
        // Registered before the check, so that a change in between wakes the task.
        self.subscriber.task.register(context.waker());
        if self.subscriber.changed.swap(false, Ordering::AcqRel) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Takes what is pending; nothing, once the subscription was replaced, revoked or dropped. Until
    /// [`Subscription::ack`], it counts as possibly lost.
    pub(crate) fn take(&self) -> Changes {
        if self.subscriber.ended.load(Ordering::Acquire) {
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
        // Under the lock: a subscription that is dropped right after has to see it, and make the station resync.
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
        // The last pushes may have been lost with the connection: TCP says only that they were buffered.
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
