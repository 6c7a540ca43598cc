//! The other nodes on the same database: which live, and which have ended since. What a node announced last may not
//! have reached this one, so its end makes every station here resync.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use uuid::Uuid;

use super::{presence, state::State};
use crate::{
    chat::{self, error::Error},
    store::{self, presence::Heartbeat},
};

/// The nodes that this one knows.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    has_begun: bool,
    /// Whether what the database said last is not known.
    has_missed: bool,
    alive: HashSet<Uuid>,
    /// Those whose end was taken account of.
    ended: HashSet<Uuid>,
}

impl Nodes {
    /// Takes what the database says of all nodes. Returns the others that live, and whether one has ended since the
    /// last time, or this one was taken for ended itself, so that others may have ended unseen.
    pub(super) fn take(&self, beat: &Heartbeat) -> (Vec<Uuid>, bool) {
        // Nothing panics while it holds the lock; if it did, sets of ids are still sets of ids.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let alive: HashSet<Uuid> = beat
            .others
            .iter()
            .filter(|node| node.is_alive)
            .map(|node| node.node_id)
            .collect();
        let ended: HashSet<Uuid> = beat
            .others
            .iter()
            .filter(|node| !node.is_alive)
            .map(|node| node.node_id)
            .collect();
        let has_lapsed = known.has_begun && (known.has_missed || !beat.was_alive);
        let has_ended =
            !known.alive.is_subset(&alive) || (known.has_begun && !ended.is_subset(&known.ended));
        *known = Known {
            has_begun: true,
            has_missed: false,
            alive,
            ended,
        };
        (
            known.alive.iter().copied().collect(),
            has_ended || has_lapsed,
        )
    }

    /// The answer to a beat was lost: others may take it that this node has seen what it said.
    pub(super) fn miss(&self) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .has_missed = true;
    }
}

/// Says in the database that this node lives, and looks which others do.
///
/// # Errors
/// The database is away: the next beat tries again.
pub(super) async fn beat(state: &State) -> sqlx::Result<()> {
    let beat = store::presence::heartbeat(
        &state.services.db,
        state.node,
        state.settings.timings.node_timeout,
    )
    .await;
    let beat = beat.inspect_err(|_| state.nodes.miss())?;
    let (others, has_ended) = state.nodes.take(&beat);
    if has_ended || state.bus.misses_any(&others) {
        state.resync.request();
    }
    Ok(())
}

/// Beats, and looks after who is online, until the server stops.
pub(super) async fn run(state: Arc<State>) {
    let (mut clock, began) = (
        tokio::time::interval(state.settings.timings.heartbeat),
        Instant::now(),
    );
    loop {
        clock.tick().await;
        if state.is_stopping() {
            return;
        }
        if let Err(error) = beat(&state).await {
            tracing::debug!(%error, "the database is away");
            continue;
        }
        if let Err(error) = presence::reconcile(&state).await {
            tracing::debug!(%error, "who is online is compared with the next heartbeat");
        }
        // Clients of a node that ended, as of this one's predecessor, get a while to come back.
        let grace = state.settings.timings.offline_after;
        if began.elapsed() > grace {
            match chat::presence::reap(&state.services.db, grace).await {
                Ok(events) => state.announce(&events),
                Err(error) => {
                    tracing::debug!(?error, "the database is away");
                    if let Error::Unavailable {
                        is_uncertain: true, ..
                    } = error
                    {
                        state.resync.request_everywhere();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::presence::OtherNode;

    #[test]
    fn each_end_of_a_node_is_noticed_once_also_of_one_that_was_never_seen_alive() {
        let (nodes, [one, other]) = (Nodes::default(), [Uuid::new_v4(), Uuid::new_v4()]);
        let beat = |was_alive, alive: &[Uuid], ended: &[Uuid]| {
            let all = alive
                .iter()
                .map(|node| (*node, true))
                .chain(ended.iter().map(|node| (*node, false)));
            let beat = Heartbeat {
                was_alive,
                others: all
                    .map(|(node_id, is_alive)| OtherNode { node_id, is_alive })
                    .collect(),
            };
            nodes.take(&beat).1
        };
        // Who starts has told nobody anything yet.
        assert!(!beat(false, &[one], &[other]));
        assert!(!beat(true, &[one], &[other]));
        // Ended, and later its row is gone.
        assert!(beat(true, &[], &[one, other]));
        assert!(!beat(true, &[], &[one, other]));
        assert!(!beat(true, &[], &[]));
        // Started and ended between two beats.
        assert!(beat(true, &[], &[other]));
        // Its row is gone at once.
        assert!(!beat(true, &[one], &[]));
        assert!(beat(true, &[], &[]));
        // This one was away for so long that it was taken for ended.
        assert!(beat(false, &[], &[]));
        assert!(!beat(true, &[], &[]));
        // What the database said was lost.
        nodes.miss();
        assert!(beat(true, &[], &[]));
        assert!(!beat(true, &[], &[]));
    }
}
