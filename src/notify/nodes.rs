//! Tracks the other nodes on the same database: which are alive, and which have ended. A node's
//! last announcement may not have arrived here, so its end makes every station of this node resync.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use crate::store::presence::Heartbeat;

/// The nodes known to this one.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// Whether a heartbeat has succeeded before.
    started: bool,
    /// Whether the answer to the last heartbeat was lost.
    missed: bool,
    alive: HashSet<Uuid>,
    /// The nodes whose end was noticed.
    ended: HashSet<Uuid>,
}

impl Nodes {
    /// Evaluates a heartbeat. Returns the other living nodes, and `true` if one has ended since the
    /// last heartbeat, or if this node was taken for ended, as others may then have ended
    /// unnoticed.
    pub(crate) fn observe(&self, beat: &Heartbeat) -> (Vec<Uuid>, bool) {
        let mut known = self.known();
        let of = |is_alive| -> HashSet<Uuid> {
            let nodes = beat.others.iter();
            nodes
                .filter(|node| node.is_alive == is_alive)
                .map(|node| node.node_id)
                .collect()
        };
        let (alive, ended) = (of(true), of(false));
        // Not at the first heartbeat: stations that this node does not know yet resync anyway.
        let has_lapsed = known.started && (known.missed || !beat.was_alive);
        // A node may start and end between two heartbeats, and is then never seen alive.
        let has_ended =
            !known.alive.is_subset(&alive) || (known.started && !ended.is_subset(&known.ended));
        *known = Known {
            started: true,
            missed: false,
            alive,
            ended,
        };
        (
            known.alive.iter().copied().collect(),
            has_ended || has_lapsed,
        )
    }

    /// Number of other nodes that were alive at the last heartbeat.
    pub(crate) fn others_alive(&self) -> usize {
        self.known().alive.len()
    }

    /// Records that the answer to a heartbeat was lost.
    // The row of an ended node is deleted once every other node has seen it, and the lost heartbeat
    // may have counted as seeing it.
    pub(crate) fn miss(&self) {
        self.known().missed = true;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic while the lock is held cannot leave a set half-changed, so a poisoned lock is
        // still good.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
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
            nodes.observe(&beat).1
        };
        // A node that has just started has announced nothing yet.
        assert!(!beat(false, &[one], &[other]));
        assert!(!beat(true, &[one], &[other]));
        // It has ended; later its row is gone.
        assert!(beat(true, &[], &[one, other]));
        assert!(!beat(true, &[], &[one, other]));
        assert!(!beat(true, &[], &[]));
        // It started and ended between two heartbeats.
        assert!(beat(true, &[], &[other]));
        // Its row is gone at once.
        assert!(!beat(true, &[one], &[]));
        assert!(beat(true, &[], &[]));
        // This node was silent for so long that it was taken for ended.
        assert!(beat(false, &[], &[]));
        assert!(!beat(true, &[], &[]));
        // The database's answer was lost.
        nodes.miss();
        assert!(beat(true, &[], &[]));
        assert!(!beat(true, &[], &[]));
    }
}
