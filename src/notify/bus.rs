//! The bus publishes over NATS what happened on one node to the others. It carries only hints, the
//! ids of what changed; the truth is in the database.
//!
//! A hint may be lost, because NATS is away or a node is killed between a commit and its hint. So
//! each node numbers what it publishes and repeats its number every second. A node that misses a
//! number, or receives nothing from a node that is alive, makes its stations resync. Without NATS,
//! nodes on one database resync every few seconds: slow, but no change is missed.

mod envelope;
mod nats;

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc;
use uuid::Uuid;

use self::envelope::{Envelope, Hint};
pub use self::nats::CredentialsError;
pub(crate) use self::nats::{Node, options, run};
use super::event::Event;

/// After this long without an envelope from a node, something that it published may have been lost.
// Three repetitions of its number may be lost before that.
const PEER_TIMEOUT: Duration = Duration::from_secs(4);
/// Maximum envelopes waiting to be published. Further ones are dropped, which other nodes notice by
/// the numbers.
const MAX_QUEUED: usize = 10_000;

/// One node's end of the bus.
#[derive(Debug)]
pub(crate) struct Bus {
    node: Uuid,
    sequence: Mutex<u64>,
    /// `None` if there are no other nodes.
    queue: Option<mpsc::Sender<Vec<u8>>>,
    connected: AtomicBool,
    gaps: AtomicU64,
    peers: Mutex<HashMap<Uuid, Peer>>,
}

#[derive(Debug)]
struct Peer {
    sequence: u64,
    received_at: Instant,
}

/// The envelopes that wait to be published.
pub(crate) type Queue = mpsc::Receiver<Vec<u8>>;

impl Bus {
    /// Creates a bus for a single node, or one with a queue for [`run`].
    pub(crate) fn new(node: Uuid, has_others: bool) -> (Self, Option<Queue>) {
        let (sender, receiver) = mpsc::channel(MAX_QUEUED);
        let bus = Self {
            node,
            sequence: Mutex::new(0),
            queue: has_others.then_some(sender),
            connected: AtomicBool::new(false),
            gaps: AtomicU64::new(0),
            peers: Mutex::default(),
        };
        (bus, has_others.then_some(receiver))
    }

    /// `none`, `connected` or `away`, for operators.
    pub(crate) fn status(&self) -> &'static str {
        match (&self.queue, self.connected.load(Ordering::Acquire)) {
            (None, _) => "none",
            (Some(_), true) => "connected",
            (Some(_), false) => "away",
        }
    }

    /// Returns `true` if hints reach other nodes.
    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Number of gaps found in other nodes' sequences.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.load(Ordering::Relaxed)
    }

    /// Publishes events to the other nodes.
    pub(crate) fn publish(&self, events: &[Event]) {
        // An empty envelope would only repeat the number, which a request that changes nothing need
        // not do.
        if !events.is_empty() && self.queue.is_some() {
            self.send(events.iter().map(Hint::from).collect());
        }
    }

    /// Skips a sequence number: the other nodes find a gap and make their stations resync.
    // Unlike an envelope, a gap cannot be lost: the other nodes find it at the next number that
    // arrives.
    pub(crate) fn skip_sequence(&self) {
        *self.sequence() += 1;
    }

    /// Queues an envelope; without hints, it repeats the sequence number.
    fn send(&self, hints: Vec<Hint>) {
        let Some(queue) = &self.queue else { return };
        // Numbered and queued under one lock, so that numbers arrive in order.
        let mut sequence = self.sequence();
        *sequence += u64::from(!hints.is_empty());
        let envelope = Envelope {
            node: self.node,
            sequence: *sequence,
            hints,
        };
        match serde_json::to_vec(&envelope) {
            // Never waits, as requests announce from here. If the queue is full, the envelope is
            // dropped; the other nodes find a gap and resync.
            Ok(text) => drop(queue.try_send(text)),
            Err(error) => tracing::error!(%error, "a hint could not be serialized"),
        }
    }

    /// Records an envelope of another node. Returns `true` if one before it was missed.
    fn receive(&self, envelope: &Envelope) -> bool {
        let mut peers = self.peers();
        // A node that is new here should begin at zero; if it published before this one subscribed,
        // that is a gap.
        let expected = peers.get(&envelope.node).map_or(0, |peer| peer.sequence)
            + u64::from(!envelope.hints.is_empty());
        // After a gap, counting continues at the new number: one loss causes one resync, not one
        // per later envelope.
        peers.insert(
            envelope.node,
            Peer {
                sequence: envelope.sequence,
                received_at: Instant::now(),
            },
        );
        let is_missed = envelope.sequence != expected;
        self.gaps.fetch_add(u64::from(is_missed), Ordering::Relaxed);
        is_missed
    }

    /// Compares the living nodes with those that were heard from. Returns `true` if one is silent
    /// or has ended since: its last hint may have been lost.
    pub(crate) fn has_gap(&self, alive: &[Uuid]) -> bool {
        let mut peers = self.peers();
        let is_silent = alive.iter().any(|node| {
            peers
                .get(node)
                .is_none_or(|peer| peer.received_at.elapsed() > PEER_TIMEOUT)
        });
        // A peer that has ended is forgotten, which counts as a gap: so its last hint is made up
        // for exactly once.
        let before = peers.len();
        peers
            .retain(|node, peer| alive.contains(node) || peer.received_at.elapsed() < PEER_TIMEOUT);
        is_silent || peers.len() < before
    }

    fn sequence(&self) -> MutexGuard<'_, u64> {
        // A panic while the lock is held cannot leave the number half-changed, so a poisoned lock
        // is still good.
        self.sequence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<Uuid, Peer>> {
        // As for the sequence.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes everything that a bus has queued to another one. Returns which envelopes showed a
    /// gap.
    fn gaps(by: &Bus, queue: &mut Queue) -> Vec<bool> {
        let mut gaps = vec![];
        while let Ok(text) = queue.try_recv() {
            gaps.push(by.receive(&serde_json::from_slice(&text).unwrap()));
        }
        gaps
    }

    #[test]
    fn a_node_notices_that_an_envelope_was_lost_never_sent_or_sent_before_it_began() {
        let (bus, queue) = Bus::new(Uuid::new_v4(), true);
        let mut queue = queue.unwrap();
        let (other, _) = Bus::new(Uuid::new_v4(), true);
        let list = [Event::ListChanged { of: vec![] }];
        bus.send(vec![]);
        bus.publish(&list);
        bus.publish(&[]);
        bus.publish(&list);
        bus.send(vec![]);
        assert_eq!(gaps(&other, &mut queue), [false; 4]);
        // A lost envelope shows at the next one, even if that only repeats the number.
        bus.publish(&list);
        queue.try_recv().unwrap();
        bus.send(vec![]);
        bus.publish(&list);
        assert_eq!(gaps(&other, &mut queue), [true, false]);
        // An envelope that was never sent shows too.
        bus.skip_sequence();
        bus.send(vec![]);
        bus.send(vec![]);
        assert_eq!(gaps(&other, &mut queue), [true, false]);
        // A node that starts later has missed what was published before.
        let (late, _) = Bus::new(Uuid::new_v4(), true);
        bus.publish(&list);
        assert_eq!(gaps(&late, &mut queue), [true]);
    }

    #[test]
    fn a_node_that_is_alive_and_not_heard_or_has_ended_is_a_gap() {
        let (bus, queue) = Bus::new(Uuid::new_v4(), true);
        let mut queue = queue.unwrap();
        let (other, _) = Bus::new(Uuid::new_v4(), true);
        assert!(!other.has_gap(&[]));
        assert!(other.has_gap(&[bus.node]));
        bus.send(vec![]);
        gaps(&other, &mut queue);
        assert!(!other.has_gap(&[bus.node]));
        // Its last hint may have been missed, which counts once.
        other
            .peers
            .lock()
            .unwrap()
            .get_mut(&bus.node)
            .unwrap()
            .received_at -= PEER_TIMEOUT;
        assert!(other.has_gap(&[bus.node]));
        assert!(other.has_gap(&[]));
        assert!(!other.has_gap(&[]));
    }
}
