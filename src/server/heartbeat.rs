//! The heartbeat: records in the database that this node is alive, reads which others are, and
//! corrects who is online.

use std::sync::Arc;

use super::{presence, state::State};
use crate::{
    chat::{self, error::Error, presence::MAX_BATCH},
    notify::event::Event,
    store,
    telemetry::with_causes,
};

/// Records that this node is alive, and reads which other nodes are. Returns `true` if it was alive
/// until now, as the database knows.
///
/// # Errors
/// The database is away; the next heartbeat tries again.
pub(super) async fn beat(state: &State) -> store::error::Result<bool> {
    let beat = store::presence::heartbeat(
        &state.services.db,
        state.node,
        state.settings.timings.node_timeout,
    )
    .await;
    let beat = beat.inspect_err(|_| state.nodes.miss())?;
    let (others, has_ended) = state.nodes.observe(&beat);
    if has_ended || state.bus.has_gap(&others) {
        state.resync.request();
    }
    Ok(beat.was_alive)
}

/// Sends heartbeats and corrects who is online, until the server stops.
pub(super) async fn heartbeat(state: Arc<State>) {
    let (mut clock, began) = (
        tokio::time::interval(state.settings.timings.heartbeat),
        state.settings.clock.instant(),
    );
    // Since when calls were recorded.
    let mut recorded_since = began;
    // When silent users were looked for.
    let mut looked_at = began;
    loop {
        clock.tick().await;
        if state.is_stopping() {
            return;
        }
        match beat(&state).await {
            Ok(true) => {}
            // It stood still, and nobody could call.
            Ok(false) => recorded_since = state.settings.clock.instant(),
            Err(error) => {
                tracing::debug!(error = with_causes(&error), "the database is away");
                recorded_since = state.settings.clock.instant();
                continue;
            }
        }
        if let Err(error) = store::list::keep_era(&state.services.db).await {
            tracing::debug!(
                error = with_causes(&error),
                "whether lists can be compared is looked at with the next heartbeat"
            );
        }
        if let Err(error) = presence::reconcile(&state).await {
            tracing::debug!(
                error = with_causes(&error),
                "who is online is compared with the next heartbeat"
            );
        }
        if let Err(error) = presence::record_calls(&state).await {
            tracing::debug!(
                error = with_causes(&error),
                "who has called is recorded when they call again"
            );
            recorded_since = state.settings.clock.instant();
        }
        // Clients of an ended node, for example this one before its restart, have this long to
        // reconnect.
        let grace = state.settings.timings.offline_after;
        if state.settings.clock.since(began) > grace {
            announce(
                &state,
                chat::presence::expire(&state.services.db, grace).await,
            );
        }
        // After a restart, or while the database was away, nobody could call.
        let silent_after = state.settings.timings.silent_after;
        // Seldom, as it looks at everyone who is online.
        let is_due = state.settings.clock.since(looked_at) > silent_after / presence::RECORDS;
        if is_due && state.settings.clock.since(recorded_since) > silent_after {
            let offline = chat::presence::expire_silent(&state.services.db, silent_after).await;
            // If there are very many, the next heartbeat handles the rest.
            if offline.as_ref().is_ok_and(|all| all.len() < MAX_BATCH) {
                looked_at = state.settings.clock.instant();
            }
            announce(&state, offline);
        }
    }
}

/// Announces who went offline.
fn announce(state: &State, offline: Result<Vec<Event>, Error>) {
    match offline {
        Ok(events) => state.announce(&events),
        Err(error) => {
            tracing::debug!(cause = error.cause(), "the database is away");
            if let Error::Unavailable {
                uncertain: true, ..
            } = error
            {
                state.resync.request_everywhere();
            }
        }
    }
}
