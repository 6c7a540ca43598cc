//! Resyncs: when something may have happened that cannot be announced, every station is told to compare
//! everything. Each walks through all stations, so whoever asks for one, they are done one at a time, and many
//! requests at the same moment are one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;

use super::state::State;
use crate::store;

/// What has to be done.
#[derive(Debug, Default)]
pub(super) struct Resync {
    due: Mutex<Due>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Due {
    here: bool,
    /// On the other nodes, too.
    everywhere: bool,
    /// Everywhere once more, from this moment on.
    again_at: Option<Instant>,
}

impl Resync {
    /// This node may have missed what happened on another one.
    pub(super) fn request(&self) {
        self.change(|due| due.here = true);
    }

    /// Something may have been committed, or may be committed yet: every station on every node has to resync now,
    /// and once more when that is decided.
    pub(super) fn request_everywhere(&self) {
        self.change(|due| {
            due.here = true;
            due.everywhere = true;
            due.again_at = Some(Instant::now() + store::COMMIT_SETTLED_AFTER);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Due)) {
        // Nothing panics while it holds the lock.
        change(&mut self.due.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    /// What has to be done now: here, everywhere. And when to look again.
    fn take(&self, now: Instant) -> (bool, bool, Option<Instant>) {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let is_again = due.again_at.take_if(|again_at| *again_at <= now).is_some();
        let everywhere = std::mem::take(&mut due.everywhere) || is_again;
        (
            std::mem::take(&mut due.here) || is_again,
            everywhere,
            due.again_at,
        )
    }
}

/// Does what is requested, until the server ends.
pub(super) async fn run(state: Arc<State>) {
    loop {
        let (here, everywhere, again_at) = state.resync.take(Instant::now());
        if here {
            state.notifications.resync_all();
        }
        if everywhere {
            state.bus.skip();
        }
        match again_at {
            None => state.resync.wake.notified().await,
            Some(at) => tokio::select! {
                () = state.resync.wake.notified() => {}
                () = tokio::time::sleep_until(at.into()) => {}
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_requests_are_one_and_a_doubt_comes_twice() {
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
