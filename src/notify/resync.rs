//! Resyncs: when something may have happened that cannot be announced, every station has to compare
//! its state with the server's. A resync walks through all stations, so only one runs at a time,
//! and requests that arrive meanwhile are combined into the next one.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::sync::Notify;

use super::{bus::Bus, registry::Notifications};
use crate::store;

/// The resyncs that are requested and not yet done.
#[derive(Debug, Default)]
pub(crate) struct Resync {
    due: Mutex<Due>,
    wake: Notify,
    done: AtomicU64,
}

#[derive(Debug, Default)]
struct Due {
    here: bool,
    /// Whether the other nodes have to resync too.
    everywhere: bool,
    /// When to repeat it on all nodes.
    again_at: Option<Instant>,
}

impl Resync {
    /// Requests a resync of this node's stations: it may have missed a hint of another node.
    pub(crate) fn request(&self) {
        self.due().here = true;
        self.wake.notify_one();
    }

    /// Requests a resync of every station on every node, now and again once the outcome is settled:
    /// something may have been committed, or may yet be, that nobody will announce.
    pub(crate) fn request_everywhere(&self) {
        {
            let mut due = self.due();
            due.here = true;
            due.everywhere = true;
            // A commit whose answer was lost may still be running: a station that resyncs now may
            // or may not see it. A later request moves this time, which is late enough for both.
            due.again_at = Some(Instant::now() + store::COMMIT_SETTLED_AFTER);
        }
        // `notify_one` stores a permit, so a request made during a resync is not lost.
        self.wake.notify_one();
    }

    /// Number of times that this node's stations had to resync.
    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Takes what is due now: a resync here, and one everywhere. Also returns when the next one is
    /// due.
    fn take(&self, now: Instant) -> (bool, bool, Option<Instant>) {
        let mut due = self.due();
        let is_again = due.again_at.take_if(|again_at| *again_at <= now).is_some();
        let everywhere = std::mem::take(&mut due.everywhere) || is_again;
        (
            std::mem::take(&mut due.here) || is_again,
            everywhere,
            due.again_at,
        )
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        // A panic while the lock is held cannot leave a flag half-changed, so a poisoned lock is
        // still good.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Performs the requested resyncs, until the server ends.
pub(crate) async fn resync_all_nodes(
    resync: Arc<Resync>,
    notifications: Arc<Notifications>,
    bus: Arc<Bus>,
) {
    loop {
        let (here, everywhere, again_at) = resync.take(Instant::now());
        if here {
            notifications.resync_all();
            resync.done.fetch_add(1, Ordering::Relaxed);
        }
        if everywhere {
            // A gap in the sequence: the other nodes find it even if the connection to NATS is lost
            // just now.
            bus.skip_sequence();
        }
        match again_at {
            None => resync.wake.notified().await,
            Some(at) => tokio::select! {
                () = resync.wake.notified() => {}
                () = tokio::time::sleep_until(at.into()) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_are_one_resync_and_an_uncertain_commit_causes_two() {
        let (resync, now) = (Resync::default(), Instant::now());
        assert_eq!(resync.take(now), (false, false, None));
        for _ in 0..3 {
            resync.request();
        }
        assert_eq!(resync.take(now), (true, false, None));
        assert_eq!(resync.take(now), (false, false, None));
        for _ in 0..3 {
            resync.request_everywhere();
        }
        let (here, everywhere, again_at) = resync.take(now);
        assert!(here && everywhere);
        assert_eq!(resync.take(now), (false, false, again_at));
        assert_eq!(resync.take(again_at.unwrap()), (true, true, None));
        assert_eq!(resync.take(again_at.unwrap()), (false, false, None));
    }
}
