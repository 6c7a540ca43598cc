//! Adds up what users have stored, and learns who has stored as much as they may.

use std::sync::Arc;

use super::state::State;
use crate::{store, telemetry::with_causes};

/// Looks once a round, until the server ends.
pub(super) async fn run(state: Arc<State>) {
    let mut clock = tokio::time::interval(state.settings.timings.purge);
    loop {
        clock.tick().await;
        if let Err(error) = look(&state).await {
            tracing::debug!(
                error = with_causes(&error),
                "what users store was not added up; the next round tries again"
            );
        }
    }
}

async fn look(state: &State) -> store::error::Result<()> {
    let (db, limits) = (&state.services.db, &state.settings.per_user);
    store::usage::add_up(db).await?;
    let service = limits.of_service().stored_bytes;
    let full = store::usage::full(db, limits.stored_bytes, service).await?;
    state.services.full.replace(full);
    Ok(())
}
