//! Applies changes to users at once and on every node, including those made by the command line:
//! each change notifies a channel of the database (`store/notice.rs`). So a disabled user and a
//! signed-out station are disconnected at once.

// Over the database instead of the bus: the command line disables users, and a server may have no
// bus.

use std::{sync::Arc, time::Duration};

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::state::State;
use crate::{
    notify::{event::Event, registry::End},
    store::{
        self,
        error::Result,
        notice::{self, Notice},
        station::StationState,
    },
    telemetry::with_causes,
};
use parlance_wire::id::UserId;

/// Delay before the channel is opened again after a failure.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// Follows changes of users until the server ends.
pub(super) async fn watch_user_changes(state: Arc<State>) {
    // A single connection, which the library keeps and renews. Those of `Db` are leased for one
    // request each.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(state.services.db.options().clone());
    let mut is_first = true;
    loop {
        if let Err(error) = listen(&state, &pool, is_first).await {
            tracing::debug!(
                error = with_causes(&error),
                "the channel of changed users is away"
            );
        }
        is_first = false;
        tokio::time::sleep(RETRY_DELAY).await;
    }
}

/// Listens until the channel fails. Except for the first time, something may have been missed.
async fn listen(state: &State, pool: &sqlx::PgPool, is_first: bool) -> Result<()> {
    let mut channel = PgListener::connect_with(pool).await?;
    channel.listen(notice::CHANNEL).await?;
    // After LISTEN: in the other order, a change between the two would be neither read nor notified.
    catch_up(state).await?;
    if !is_first {
        // Lists may have changed as well.
        state.resync.request();
    }
    loop {
        let Some(change) = channel.try_recv().await? else {
            // The library has replaced a lost connection: notifications in between are lost with it.
            catch_up(state).await?;
            state.resync.request();
            continue;
        };
        match Notice::parse(change.payload()) {
            Some(notice) => act_on(state, notice).await?,
            // Sent by a newer version.
            None => catch_up(state).await?,
        }
    }
}

async fn act_on(state: &State, notice: Notice) -> Result<()> {
    match notice {
        Notice::User(user) => {
            forget_users(state);
            // After the keys were forgotten, so that a handshake in between is refused. Whatever
            // the change was: a user who is still allowed in reconnects.
            end(state, Some(user), Some(End::Again)).await?;
        }
        Notice::Stations(user) => {
            // Users may end their own stations as often as they like, so other users' keys stay
            // cached.
            state.keys.forget_user(user);
            end(state, Some(user), None).await?;
        }
        Notice::Registered(user) => state.keys.registered(user),
        Notice::Names => state.services.names.forget(),
        // The database notifies each node, so the bus is not needed.
        Notice::List(user) => state
            .notifications
            .announce(&[Event::ListChanged { of: vec![user] }]),
        Notice::Friend { friend, seen_by } => {
            state.notifications.announce(&[Event::FriendChanged {
                friend,
                seen_by: vec![seen_by],
            }]);
        }
    }
    Ok(())
}

/// Makes up for notifications that may have been missed.
async fn catch_up(state: &State) -> Result<()> {
    forget_users(state);
    disconnect_ended(state).await
}

/// Ends the sockets of signed-out stations and disabled users.
pub(super) async fn disconnect_ended(state: &State) -> Result<()> {
    end(state, None, None).await
}

/// Ends the sockets, of one user or of everyone, that must not stay open; and all others with
/// `otherwise`, if that is given.
async fn end(state: &State, whose: Option<UserId>, otherwise: Option<End>) -> Result<()> {
    let open = state.notifications.stations_with_sockets(whose);
    if open.is_empty() {
        return Ok(());
    }
    for ((user, station), standing) in store::station::standing(&state.services.db, &open).await? {
        let reason = match standing {
            StationState::Disabled => Some(End::Disabled),
            StationState::Unknown => Some(End::SignedOut),
            StationState::Known => otherwise,
        };
        if let Some(reason) = reason {
            state.notifications.disconnect(user, station, reason);
        }
    }
    Ok(())
}

fn forget_users(state: &State) {
    state.keys.forget();
    state.services.names.forget();
}
