//! A socket's subscription: the registry wakes and ends it, and its task takes the changes.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task,
    time::Instant,
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::Notifications;
use crate::notify::changes::Changes;
use parlance_wire::{
    id::{StationId, UserId},
    version::ClientVersion,
};

/// The registry's end of a subscription.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub version: ClientVersion,
    /// Whether something was added since the feed was last polled.
    changed: AtomicBool,
    /// Whether the changes taken last may not have arrived.
    unacked: AtomicBool,
    /// The task that writes to the socket.
    // Not a `Notify`: each push wakes it, and a waker needs neither a lock nor a list of waiters.
    task: AtomicWaker,
    /// Set once: the client gets the first reason.
    ended: OnceLock<End>,
    end: Notify,
}

/// A subscription, until it is dropped.
#[derive(Debug)]
pub(crate) struct Subscription(pub(super) Feed);

/// The changes of a subscription, for the task that writes to the socket.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(super) notifications: Arc<Notifications>,
    pub(super) user: UserId,
    pub(super) station: StationId,
    pub(super) subscriber: Arc<Subscriber>,
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
    /// The user's rights have changed: clients that are still allowed reconnect.
    Again,
    /// The server stops.
    ServerStopping,
}

impl Subscriber {
    pub(super) fn new(version: ClientVersion) -> Self {
        Self {
            version,
            changed: AtomicBool::new(false),
            unacked: AtomicBool::new(false),
            task: AtomicWaker::new(),
            ended: OnceLock::new(),
            end: Notify::new(),
        }
    }

    pub(super) fn wake(&self) {
        // A task that was woken and has not run yet will find this change as well.
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    pub(super) fn end(&self, end: End) {
        let _ = self.ended.set(end);
        self.end.notify_one();
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

    /// Takes the pending changes; nothing, once the subscription was replaced, revoked or dropped.
    /// Until [`Subscription::ack`], they count as possibly lost.
    pub(crate) fn take(&self) -> Changes {
        if self.subscriber.ended.get().is_some() {
            return Changes::default();
        }
        let mut inner = self.notifications.locked();
        let Some(pending) = inner.station_of(self) else {
            return Changes::default();
        };
        let changes = std::mem::take(&mut pending.changes);
        // Under the lock, so that a subscription that is dropped right after sees it and makes the
        // station resync.
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
        // The last pushes may have been lost with the connection, as TCP only says that they were
        // buffered.
        pending.changes.resync |= feed.subscriber.unacked.load(Ordering::Acquire);
        inner.subscribers -= 1;
    }
}
