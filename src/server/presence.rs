//! Presence: a user with an open socket on any node, or one that closed a moment ago, is online.
//! The database has a row per user and node, with the number of sockets. A single task writes this
//! node's rows, so that an older state never overwrites a newer one; it retries failed writes, and
//! each heartbeat compares the rows with the open sockets. Users without a socket stay as available as
//! they said while they call: each heartbeat records who has called since the last one.

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
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How often calls of a user without a socket are recorded, within the time after which they would be
/// offline.
pub(super) const RECORDS: u32 = 5;

/// What may be out of date in a user's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// The number of sockets alone: the user stays as available as they are.
    Count,
    /// Whether they are online.
    Presence,
}

/// The users whose rows in the database may be out of date.
#[derive(Debug, Default)]
pub(super) struct Presence {
    due: Mutex<HashMap<UserId, Due>>,
    wake: Notify,
    /// When the last socket of a user was closed, for users who still count as online.
    closed_at: Mutex<HashMap<UserId, Instant>>,
    /// Who has called since the last heartbeat.
    callers: Mutex<HashSet<UserId>>,
}

impl Presence {
    /// Requests that a user's row is brought up to date: they have another socket, or none any more.
    pub(super) fn refresh(&self, user: UserId) {
        self.request([(user, Due::Presence)]);
    }

    /// Notes that a user called, or polled.
    pub(super) fn called(&self, user: UserId) {
        self.callers().insert(user);
    }

    fn request(&self, users: impl IntoIterator<Item = (UserId, Due)>) {
        let mut due = self.due();
        for (user, what) in users {
            let most = due.entry(user).or_insert(what);
            *most = what.max(*most);
        }
        drop(due);
        self.wake.notify_one();
    }

    fn due(&self) -> MutexGuard<'_, HashMap<UserId, Due>> {
        // A panic while the lock is held cannot leave the map half-changed, so a poisoned lock is
        // still good.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed_at(&self) -> MutexGuard<'_, HashMap<UserId, Instant>> {
        self.closed_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn callers(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
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
    let (station, is_unconfirmed) = (subscription.station(), subscription.is_unconfirmed());
    drop(subscription);
    // Not during shutdown: clients reconnect to another node, or to this one after its restart, and
    // should stay online.
    if state.is_stopping() {
        return;
    }
    state.presence.request([(user, Due::Count)]);
    state.socket_changed(user, station, is_unconfirmed);
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
        let users: Vec<(UserId, Due)> = {
            let mut due = state.presence.due();
            let some: Vec<UserId> = due.keys().copied().take(MAX_BATCH).collect();
            let taken = some.iter().filter_map(|user| due.remove_entry(user));
            taken.collect()
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
            state.presence.request(users);
            tokio::time::sleep(RETRY_DELAY).await;
        }
    }
}

async fn write(state: &State, users: &[(UserId, Due)]) -> Result<(), Error> {
    let db = &state.services.db;
    // Decided now, not when the write was requested: a user may have come back.
    let (online, offline): (Vec<_>, Vec<_>) = users
        .iter()
        .copied()
        .partition(|(user, _)| is_online(state, *user));
    let (arrived, counted): (Vec<_>, Vec<_>) = online
        .into_iter()
        .partition(|(_, what)| *what == Due::Presence);
    let with_counts = |users: Vec<(UserId, Due)>| -> Vec<(UserId, i32)> {
        let sockets = |user| i32::try_from(state.notifications.sockets_of(user));
        users
            .into_iter()
            .map(|(user, _)| (user, sockets(user).unwrap_or(i32::MAX)))
            .collect()
    };
    if !arrived.is_empty() {
        state.announce(&set_online(db, state.node, &with_counts(arrived)).await?);
    }
    if !counted.is_empty() {
        store::presence::count_sockets(db, state.node, &with_counts(counted)).await?;
    }
    let offline: Vec<UserId> = offline.into_iter().map(|(user, _)| user).collect();
    if !offline.is_empty() {
        state.announce(&set_offline(db, state.node, &offline).await?);
    }
    Ok(())
}

/// Compares this node's rows with its open sockets, and requests updates where they differ.
pub(super) async fn reconcile(state: &State) -> store::error::Result<()> {
    let stored = store::presence::online_on(&state.services.db, state.node).await?;
    let open = state.notifications.sockets();
    let differs = |user: UserId, sockets: i32| {
        if !is_online(state, user) {
            return Some((user, Due::Presence));
        }
        let count = open.get(&user).copied().unwrap_or(0);
        (i32::try_from(count) != Ok(sockets)).then_some((user, Due::Count))
    };
    let wrong = stored
        .iter()
        .filter_map(|(user, sockets)| differs(*user, *sockets));
    let missing = open.keys().filter(|user| !stored.contains_key(user));
    // Only requested: `run` alone writes, so that an older state never overwrites a newer one.
    let missing = missing.map(|user| (*user, Due::Presence));
    let wrong: Vec<_> = wrong.chain(missing).collect();
    if !wrong.is_empty() {
        state.presence.request(wrong);
    }
    state
        .presence
        .closed_at()
        .retain(|_, closed_at| is_recent(state, *closed_at));
    Ok(())
}

/// Records who has called since the last time, if they have no socket.
///
/// # Errors
/// The database is away. Users who call again are recorded later.
pub(super) async fn record_calls(state: &State) -> store::error::Result<()> {
    let callers = std::mem::take(&mut *state.presence.callers());
    let callers: Vec<UserId> = callers
        .into_iter()
        .filter(|user| !state.notifications.has_socket(*user))
        .collect();
    let interval = state.settings.timings.silent_after / RECORDS;
    for some in callers.chunks(MAX_BATCH) {
        store::presence::call::record(&state.services.db, some, interval).await?;
    }
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
