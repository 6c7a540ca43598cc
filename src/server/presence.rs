//! Presence: a user who has a socket open on any node, or had one a moment ago, is online. The database has a row for
//! each user and node. One task writes the rows of this node, so that an older state is never written after a newer one;
//! it retries what failed, and each heartbeat compares the rows with the sockets that are open.

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
    /// When each user's last socket was closed, for those who count as online for a while longer.
    closed_at: Mutex<HashMap<UserId, Instant>>,
}

impl Presence {
    /// Requests that the row of a user is brought up to date.
    pub(super) fn refresh(&self, user: UserId) {
        self.due().insert(user);
        self.wake.notify_one();
    }

    fn due(&self) -> MutexGuard<'_, HashSet<UserId>> {
        // Nothing panics while it holds the lock; if it did, sets of ids are still sets of ids.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_at(&self) -> MutexGuard<'_, HashMap<UserId, Instant>> {
        self.closed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a subscription. If it was the user's last one, they go offline after a while, unless they connect again.
pub(super) fn mark_offline_after_grace(
    state: Arc<State>,
    user: UserId,
    subscription: Subscription,
) {
    // Before the subscription ends: `reconcile` in between would find neither an open socket nor a recent one.
    let now = state.settings.clock.instant();
    state.presence.closed_at().insert(user, now);
    drop(subscription);
    // Not while stopping: clients connect to another node, or to this one after its restart, and should stay online.
    if state.notifications.has_socket(user) || state.is_stopping() {
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(state.settings.timings.offline_after).await;
        state.presence.refresh(user);
    });
}

/// Writes who is online, as soon as that changes, until the server ends.
pub(super) async fn run(state: Arc<State>) {
    loop {
        // Taken out before the write, not after it: a change meanwhile makes the user due again, and is not lost.
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
                // It may have been written, and friends were not notified.
                state.resync.request_everywhere();
            }
            state.presence.due().extend(users);
            tokio::time::sleep(RETRY).await;
        }
    }
}

async fn write(state: &State, users: &[UserId]) -> Result<(), Error> {
    // Decided now, not when the write was requested: a user may have come back.
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

/// Compares the rows of this node with its open sockets, and requests updates where they differ.
pub(super) async fn reconcile(state: &State) -> store::error::Result<()> {
    let stored = store::presence::online_on(&state.services.db, state.node).await?;
    let open = state.notifications.users_with_sockets();
    let wrong = stored
        .iter()
        .filter(|user| !is_online(state, **user))
        .chain(open.difference(&stored));
    // Only requested: `run` alone writes, so that an older state never overwrites a newer one.
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
