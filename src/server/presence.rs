//! Who is online: whoever has a socket open on any node, or had one a moment ago. The database has a row for each
//! user and node; what it says is compared with the sockets that are open at each heartbeat, so a write that failed
//! is made up for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::state::State;
use crate::{
    chat::{self, error::Error},
    model::id::UserId,
    store,
};

/// Users are spread over so many locks.
const STRIPES: u128 = 64;

/// What this node does about who is online, one thing at a time for each user.
#[derive(Debug)]
pub struct Presence {
    turns: Vec<tokio::sync::Mutex<()>>,
    /// When the last socket of a user was closed, of those who are still online.
    closed_at: Mutex<HashMap<UserId, Instant>>,
}

impl Default for Presence {
    fn default() -> Self {
        Self { turns: (0..STRIPES).map(|_| tokio::sync::Mutex::default()).collect(), closed_at: Mutex::default() }
    }
}

impl Presence {
    fn turn(&self, user: UserId) -> Result<&tokio::sync::Mutex<()>, Error> {
        let stripe = usize::try_from(u128::from_be_bytes(*user.as_bytes()) % STRIPES).unwrap_or_default();
        self.turns.get(stripe).ok_or_else(|| Error::Internal("there is no such stripe".into()))
    }

    fn closed_at(&self) -> MutexGuard<'_, HashMap<UserId, Instant>> {
        // Nothing panics while it holds the lock; if it did, times are still times.
        self.closed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first socket of a user was opened here: they are online. What is being written about an earlier socket that
/// was closed is waited for, so that it cannot overwrite this.
pub async fn socket_opened(state: &State, user: UserId) -> Result<(), Error> {
    let _turn = state.presence.turn(user)?.lock().await;
    state.announce(&chat::presence::arrive(&state.db, state.node, user).await?);
    Ok(())
}

/// The last socket of a user was closed here: a while later they are offline, unless they came back.
pub fn socket_closed(state: Arc<State>, user: UserId) {
    state.presence.closed_at().insert(user, Instant::now());
    tokio::spawn(async move {
        tokio::time::sleep(state.settings.timings.offline_after).await;
        // Whoever went once more meanwhile has a task of their own for it.
        if is_online(&state, user) || state.is_stopping() {
            return;
        }
        if let Err(error) = set_offline(&state, user).await {
            tracing::warn!(%user, ?error, "could not set a user offline; the next heartbeat tries again");
        }
    });
}

/// Makes the database say what the sockets here say.
pub async fn reconcile(state: &State) -> Result<(), Error> {
    let stored = store::presence::online_on(&state.db, state.node).await?;
    for user in stored.iter().filter(|user| !is_online(state, **user)) {
        set_offline(state, *user).await?;
    }
    let missing = state.notifications.users_with_sockets().into_iter().filter(|user| !stored.contains(user));
    for user in missing {
        if state.notifications.has_socket(user) {
            socket_opened(state, user).await?;
        }
    }
    state.presence.closed_at().retain(|_, closed_at| closed_at.elapsed() < state.settings.timings.offline_after);
    Ok(())
}

async fn set_offline(state: &State, user: UserId) -> Result<(), Error> {
    let _turn = state.presence.turn(user)?.lock().await;
    // Asked once it is this user's turn: who opens a socket from now on waits, and is written after it.
    if is_online(state, user) {
        return Ok(());
    }
    state.announce(&chat::presence::leave(&state.db, state.node, user).await?);
    Ok(())
}

/// Whether a user has a socket open here, or had one until a moment ago.
fn is_online(state: &State, user: UserId) -> bool {
    let closed_at = state.presence.closed_at().get(&user).copied();
    state.notifications.has_socket(user) || closed_at.is_some_and(|at| at.elapsed() < state.settings.timings.offline_after)
}
