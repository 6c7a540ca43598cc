//! The bus: what happened on one node is told to the others, over NATS. It carries hints only, ids of
//! what changed; the truth is in the tables.
//!
//! A hint may be lost: NATS is away, a node is killed between a commit and its hint. So each node numbers
//! what it tells, and repeats its number every second. Whoever misses a number, or does not hear a node
//! that lives, has every client resync. Without NATS, nodes on one
//! database do so every few seconds: slow, but nobody is notified too seldom.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::state::State;
use crate::chat::event::{Event, NewRows};
use parlance_wire::id::{ConversationId, StationId, UserId};

const SUBJECT: &str = "parlance.hints";
/// How often a node repeats its number.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A node that lives is heard at least so often.
const SILENCE: Duration = Duration::from_secs(4);
/// So many hints wait to be told. More are dropped, and missed by their number.
const MOST_WAITING: usize = 10_000;

/// What one node tells the others.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    node: Uuid,
    /// How many hints this node has told, this one included.
    number: u64,
    /// Empty, if this only repeats the number.
    hints: Vec<Hint>,
}

/// What happened, by ids.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Hint {
    Conversation {
        id: ConversationId,
        of: Vec<UserId>,
        /// The numbers of the first and the last new row.
        new: Option<(i64, i64)>,
    },
    PageCut {
        id: ConversationId,
        user: UserId,
        station: StationId,
    },
    List {
        of: Vec<UserId>,
    },
    Friend {
        id: UserId,
        of: Vec<UserId>,
    },
    Typing {
        id: ConversationId,
        user: UserId,
        of: Vec<UserId>,
    },
}

/// One node's end of the bus.
pub(super) struct Bus {
    node: Uuid,
    number: Mutex<u64>,
    waiting: Option<mpsc::Sender<Vec<u8>>>,
    is_connected: AtomicBool,
    peers: Mutex<HashMap<Uuid, Peer>>,
}

struct Peer {
    number: u64,
    heard_at: Instant,
}

/// What waits to be told.
pub(super) type Waiting = mpsc::Receiver<Vec<u8>>;

impl Bus {
    /// A bus for this node alone, or with an end for [`run`].
    pub(super) fn new(node: Uuid, has_others: bool) -> (Self, Option<Waiting>) {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        let bus = Self {
            node,
            number: Mutex::new(0),
            waiting: has_others.then_some(sender),
            is_connected: AtomicBool::new(false),
            peers: Mutex::default(),
        };
        (bus, has_others.then_some(receiver))
    }

    /// How it is, for an operator.
    pub(super) fn state(&self) -> &'static str {
        match (&self.waiting, self.is_connected.load(Ordering::Acquire)) {
            (None, _) => "none",
            (Some(_), true) => "connected",
            (Some(_), false) => "away",
        }
    }

    /// Tells the other nodes what happened.
    pub(super) fn tell(&self, events: &[Event]) {
        if events.is_empty() || self.waiting.is_none() {
            return;
        }
        let hints = events.iter().map(|event| match event {
            Event::ConversationChanged {
                conversation,
                participants,
                new,
            } => Hint::Conversation {
                id: *conversation,
                of: participants.to_vec(),
                new: new.as_ref().map(|new| (new.first, new.last)),
            },
            Event::PageCut {
                conversation,
                reader,
                station,
            } => Hint::PageCut {
                id: *conversation,
                user: *reader,
                station: *station,
            },
            Event::ListChanged { of } => Hint::List { of: of.clone() },
            Event::FriendChanged { friend, seen_by } => Hint::Friend {
                id: *friend,
                of: seen_by.clone(),
            },
            Event::Typing {
                conversation,
                user,
                others,
            } => Hint::Typing {
                id: *conversation,
                user: *user,
                of: others.clone(),
            },
        });
        self.send(hints.collect());
    }

    /// Counts a hint that nobody is told: the others miss its number, and have everyone compare everything.
    pub(super) fn skip(&self) {
        *self.number.lock().unwrap_or_else(PoisonError::into_inner) += 1;
    }

    fn send(&self, hints: Vec<Hint>) {
        let Some(waiting) = &self.waiting else { return };
        // Numbered and queued under one lock: the numbers arrive in their order.
        let mut number = self.number.lock().unwrap_or_else(PoisonError::into_inner);
        *number += u64::from(!hints.is_empty());
        if let Ok(text) = serde_json::to_vec(&Told {
            node: self.node,
            number: *number,
            hints,
        }) {
            // If there is no room, the others miss the number.
            let _ = waiting.try_send(text);
        }
    }

    /// Hears another node. Whether nothing of what it told was missed.
    fn hear(&self, told: &Told) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let expected =
            peers.get(&told.node).map_or(0, |peer| peer.number) + u64::from(!told.hints.is_empty());
        peers.insert(
            told.node,
            Peer {
                number: told.number,
                heard_at: Instant::now(),
            },
        );
        told.number == expected
    }

    /// Compares the nodes that live with those that are heard. Whether one is not heard, or has ended
    /// since: what it told last may be missed.
    pub(super) fn misses_any(&self, living: &[Uuid]) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let is_unheard = living.iter().any(|node| {
            peers
                .get(node)
                .is_none_or(|peer| peer.heard_at.elapsed() > SILENCE)
        });
        let before = peers.len();
        peers.retain(|node, peer| living.contains(node) || peer.heard_at.elapsed() < SILENCE);
        is_unheard || peers.len() < before
    }
}

/// Connects the bus to NATS, however long that takes, and keeps it connected.
pub(super) async fn run(state: Arc<State>, url: String, mut waiting: Waiting) {
    let shared = state.clone();
    let options = async_nats::ConnectOptions::new()
        .retry_on_initial_connect()
        .event_callback(move |event| {
            let state = shared.clone();
            async move { heed(&state, &event) }
        });
    let client = loop {
        match options.clone().connect(&url).await {
            Ok(client) => break client,
            Err(error) => {
                tracing::error!(%error, "NATS_URL cannot be used");
                tokio::time::sleep(SILENCE).await;
            }
        }
    };
    let mut heard = loop {
        match client.subscribe(SUBJECT).await {
            Ok(heard) => break heard,
            Err(error) => tracing::error!(%error, "NATS cannot be listened to"),
        }
        tokio::time::sleep(HEARTBEAT).await;
    };
    let mut clock = tokio::time::interval(HEARTBEAT);
    loop {
        tokio::select! {
            Some(text) = waiting.recv() => {
                if state.bus.is_connected.load(Ordering::Acquire) {
                    let _ = client.publish(SUBJECT, text.into()).await;
                }
            }
            Some(message) = heard.next() => {
                if let Ok(told) = serde_json::from_slice::<Told>(&message.payload)
                    && told.node != state.node
                {
                    if !state.bus.hear(&told) {
                        state.resync.request();
                    }
                    state.notifications.announce(&told.hints.into_iter().map(Event::from).collect::<Vec<_>>());
                }
            }
            _ = clock.tick() => state.bus.send(vec![]),
        }
    }
}

/// What NATS says of the connection. A change means that something may have been missed.
fn heed(state: &State, event: &async_nats::Event) {
    match event {
        async_nats::Event::Connected => {
            tracing::info!("NATS is connected");
            state.bus.is_connected.store(true, Ordering::Release);
            state.resync.request();
        }
        async_nats::Event::Disconnected => {
            tracing::warn!("NATS is away; clients are told to compare everything until it is back");
            state.bus.is_connected.store(false, Ordering::Release);
            state.resync.request();
        }
        async_nats::Event::SlowConsumer(_) => state.resync.request(),
        other => tracing::debug!(event = %other, "NATS"),
    }
}

impl From<Hint> for Event {
    fn from(hint: Hint) -> Self {
        match hint {
            Hint::Conversation { id, of, new } => {
                let new = new.map(|(first, last)| NewRows {
                    first,
                    last,
                    rows: vec![],
                });
                Self::ConversationChanged {
                    conversation: id,
                    participants: of.into(),
                    new,
                }
            }
            Hint::PageCut { id, user, station } => Self::PageCut {
                conversation: id,
                reader: user,
                station,
            },
            Hint::List { of } => Self::ListChanged { of },
            Hint::Friend { id, of } => Self::FriendChanged {
                friend: id,
                seen_by: of,
            },
            Hint::Typing { id, user, of } => Self::Typing {
                conversation: id,
                user,
                others: of,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a node's end of the bus has sent, as another one hears it.
    fn heard(by: &Bus, waiting: &mut Waiting) -> Vec<bool> {
        let mut heard = vec![];
        while let Ok(text) = waiting.try_recv() {
            heard.push(by.hear(&serde_json::from_slice(&text).unwrap()));
        }
        heard
    }

    #[test]
    fn whoever_misses_a_number_knows_it() {
        let (bus, waiting) = Bus::new(Uuid::new_v4(), true);
        let mut waiting = waiting.unwrap();
        let (other, _) = Bus::new(Uuid::new_v4(), true);
        let list = [Event::ListChanged { of: vec![] }];
        bus.send(vec![]);
        bus.tell(&list);
        bus.tell(&[]);
        bus.tell(&list);
        bus.send(vec![]);
        assert_eq!(heard(&other, &mut waiting), [true; 4]);
        // One that is lost shows at the next one, be it only the number.
        bus.tell(&list);
        waiting.try_recv().unwrap();
        bus.send(vec![]);
        bus.tell(&list);
        assert_eq!(heard(&other, &mut waiting), [false, true]);
        // So does one that could not be told.
        bus.skip();
        bus.send(vec![]);
        bus.send(vec![]);
        assert_eq!(heard(&other, &mut waiting), [false, true]);
        // Who comes later has missed what was told before.
        let (late, _) = Bus::new(Uuid::new_v4(), true);
        bus.tell(&list);
        assert_eq!(heard(&late, &mut waiting), [false]);
    }

    #[test]
    fn a_node_that_lives_and_is_not_heard_or_has_ended_is_missed() {
        let (bus, waiting) = Bus::new(Uuid::new_v4(), true);
        let mut waiting = waiting.unwrap();
        let (other, _) = Bus::new(Uuid::new_v4(), true);
        assert!(!other.misses_any(&[]));
        assert!(other.misses_any(&[bus.node]));
        bus.send(vec![]);
        heard(&other, &mut waiting);
        assert!(!other.misses_any(&[bus.node]));
        // What it told last may be missed, once.
        other
            .peers
            .lock()
            .unwrap()
            .get_mut(&bus.node)
            .unwrap()
            .heard_at -= SILENCE;
        assert!(other.misses_any(&[bus.node]));
        assert!(other.misses_any(&[]));
        assert!(!other.misses_any(&[]));
    }
}
