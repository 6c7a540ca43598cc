//! A user who is disabled is disconnected at once, on every node, and so is a station that was signed out: whoever changes
//! a user notifies a channel of the database (`LISTEN`/`NOTIFY`).

use std::{sync::Arc, time::Duration};

use sqlx::postgres::{PgListener, PgPoolOptions};

use super::state::State;
use crate::{
    notify::registry::{End, Whose},
    store::{self, error::Result, user::UserChange},
    telemetry::with_causes,
};

/// After a failure the channel is opened again this much later.
const RETRY: Duration = Duration::from_secs(1);

/// Follows changes of users until the server ends.
pub(super) async fn watch_user_changes(state: Arc<State>) {
    // One connection, which the library keeps and renews. Those of `Db` are lent for one request each.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(state.services.db.options().clone());
    loop {
        if let Err(error) = listen(&state, &pool).await {
            tracing::debug!(
                error = with_causes(&error),
                "the channel of changed users is away"
            );
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Listens until the channel fails.
async fn listen(state: &State, pool: &sqlx::PgPool) -> Result<()> {
    let mut channel = PgListener::connect_with(pool).await?;
    channel.listen(store::user::CHANGED_CHANNEL).await?;
    catch_up(state).await?;
    loop {
        match channel.try_recv().await? {
            // After the keys were forgotten: a handshake in between is refused, as it sees the change.
            Some(change) => match UserChange::parse(change.payload()) {
                Some(UserChange::Disabled(user)) => {
                    forget_users(state);
                    // Whoever is still allowed in connects again.
                    end(state, Whose::User(user));
                }
                Some(UserChange::Ended(user, stations)) => {
                    // Anyone may end stations of theirs, as often as they like: the keys of others stay.
                    state.keys.forget_user(user);
                    for station in stations {
                        end(state, Whose::Station(user, station));
                    }
                }
                // Of a newer version, which knows more to tell.
                None => catch_up(state).await?,
            },
            // The connection was lost, and is another one now.
            None => catch_up(state).await?,
        }
    }
}

/// Makes up for what may have been missed while nobody listened.
async fn catch_up(state: &State) -> Result<()> {
    forget_users(state);
    disconnect_ended(state).await
}

/// Ends the sockets of stations that were signed out, and of users who are disabled.
pub(super) async fn disconnect_ended(state: &State) -> Result<()> {
    let open = state.notifications.stations_with_sockets();
    for (user, station) in store::station::ended_among(&state.services.db, &open).await? {
        end(state, Whose::Station(user, station));
    }
    Ok(())
}

fn end(state: &State, whose: Whose) {
    state.notifications.disconnect(whose, End::SignedOut);
}

fn forget_users(state: &State) {
    state.keys.forget();
    state.services.names.forget();
}
