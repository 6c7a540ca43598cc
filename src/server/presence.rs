//! Presence: a user with an open socket on any node, or one that closed a moment ago, is online.
//! The database has a row per user and node. A single task writes this node's rows, so that an
//! older state never overwrites a newer one; it retries failed writes, and each heartbeat compares
//! the rows with the open sockets.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::state::State;
use crate::{
    chat::{
        error::Error,
        presence::{MAX_BATCH, set_offline, set_online},
    },
    notify::registry::Subscription,
    store,
};
use parlance_wire::id::UserId;

/// Delay before a failed write is retried.
const RETRY: Duration = Duration::from_secs(1);

/// The users whose rows in the database may be out of date.
#[derive(Debug, Default)]
pub(super) struct Presence {
    due: Mutex<HashSet<UserId>>,
    wake: Notify,
    /// When the last socket of a user was closed, for users who still count as online.
    closed_at: Mutex<HashMap<UserId, Instant>>,
}

impl Presence {
    /// Requests that a user's row is brought up to date.
    pub(super) fn refresh(&self, user: UserId) {
        self.due().insert(user);
        self.wake.notify_one();
    }

    fn due(&self) -> MutexGuard<'_, HashSet<UserId>> {
        // A panic while the lock is held cannot leave the set half-changed, so a poisoned lock is
        // still good.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_at(&self) -> MutexGuard<'_, HashMap<UserId, Instant>> {
        self.closed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a subscription. If it was the user's last one, they go offline after a grace period, unless
/// they reconnect.
pub(super) fn mark_offline_after_grace(
    state: Arc<State>,
    user: UserId,
    subscription: Subscription,
) {
    // Recorded before the subscription ends: in between, `reconcile` would find neither an open
    // socket nor a recent one.
    let now = state.settings.clock.instant();
    state.presence.closed_at().insert(user, now);
    let (station, is_doubtful) = (subscription.station(), subscription.is_doubtful());
    drop(subscription);
    // Not during shutdown: clients reconnect to another node, or to this one after its restart, and
    // should stay online.
    if state.is_stopping() {
        return;
    }
    state.socket_changed(user, station, is_doubtful);
    if state.notifications.has_socket(user) {
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(state.settings.timings.offline_after).await;
        state.presence.refresh(user);
    });
}

/// Writes changes of who is online, until the server ends.
pub(super) async fn run(state: Arc<State>) {
    loop {
        // Taken out before the write instead of after it, so that a change in between makes the
        // user due again.
        let users: Vec<UserId> = {
            let mut due = state.presence.due();
            let some: Vec<UserId> = due.iter().copied().take(MAX_BATCH).collect();
            some.into_iter().filter(|user| due.remove(user)).collect()
        };
        if users.is_empty() {
            state.presence.wake.notified().await;
            continue;
        }
        if let Err(error) = write(&state, &users).await {
            tracing::warn!(
                cause = error.cause(),
                "could not write who is online; it is tried again"
            );
            if let Error::Unavailable {
                uncertain: true, ..
            } = error
            {
                // It may have been committed without friends being notified.
                state.resync.request_everywhere();
            }
            state.presence.due().extend(users);
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn write(state: &State, users: &[UserId]) -> Result<(), Error> {
    // Decided now and not when the write was requested, as the user may have come back.
    let (online, offline): (Vec<UserId>, Vec<UserId>) =
        users.iter().partition(|user| is_online(state, **user));
    if !online.is_empty() {
        state.announce(&set_online(&state.services.db, state.node, &online).await?);
    }
    if !offline.is_empty() {
        state.announce(&set_offline(&state.services.db, state.node, &offline).await?);
    }
    Ok(())
}

/// Compares this node's rows with its open sockets, and requests updates where they differ.
pub(super) async fn reconcile(state: &State) -> store::error::Result<()> {
    let stored = store::presence::online_on(&state.services.db, state.node).await?;
    let open = state.notifications.users_with_sockets();
    let wrong = stored
        .iter()
        .filter(|user| !is_online(state, **user))
        .chain(open.difference(&stored));
    // Only requested, because `run` alone writes: an older state must never overwrite a newer one.
    for user in wrong {
        state.presence.refresh(*user);
    }
    state
        .presence
        .closed_at()
        .retain(|_, closed_at| is_recent(state, *closed_at));
    Ok(())
}

/// Returns `true` if a user has a socket open here, or had one until a moment ago.
fn is_online(state: &State, user: UserId) -> bool {
    let closed_at = state.presence.closed_at().get(&user).copied();
    state.notifications.has_socket(user) || closed_at.is_some_and(|at| is_recent(state, at))
}

fn is_recent(state: &State, closed_at: Instant) -> bool {
    state.settings.clock.since(closed_at) < state.settings.timings.offline_after
}
