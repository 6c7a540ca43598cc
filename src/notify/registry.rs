//! Pending notifications: what each station has yet to be told. They are a cache and may be lost; then the
//! station is told that everything may have changed (resync). Too often is allowed, too seldom never (docs/api.md,
//! chatnotification).
//!
//! A station either polls, or has a socket that subscribes. A socket takes the changes whenever it can write: so a
//! slow reader costs a set of ids, not a queue. What a poll was told is kept until the station shows that it has it.

mod order;
mod subscription;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

pub(crate) use self::subscription::{SocketLimits, Subscription, TooManySockets};
use self::{order::Order, subscription::Subscriber};
use super::{
    changes::Changes,
    event::{Event, NewRow},
};
use parlance_wire::id::{ConversationId, Receipt, StationId, UserId};
use parlance_wire::version::ClientVersion;

/// Pending notifications that nobody polls for in this time are dropped.
const IDLE: Duration = Duration::from_mins(15);
/// Maximum users whose stations are kept (a user has at most 100 stations). Those of one more are told to resync
/// each time.
const MAX_USERS: usize = 100_000;
/// Recipients per lock hold, so that other callers can proceed.
const CHUNK: usize = 500;

/// The pending notifications of all stations that this node knows.
#[derive(Debug, Default)]
pub(crate) struct Notifications {
    inner: Mutex<Inner>,
    order: Order,
}

#[derive(Debug, Default)]
struct Inner {
    by_user: HashMap<UserId, HashMap<StationId, Pending>>,
    subscribers: usize,
}

#[derive(Debug)]
struct Pending {
    changes: Changes,
    /// What the last poll was told, until the station shows that it has it.
    in_flight: Option<InFlight>,
    polled_at: Instant,
    subscriber: Option<Arc<Subscriber>>,
}

#[derive(Debug)]
struct InFlight {
    changes: Changes,
    receipt: Receipt,
    connection: Option<u64>,
}

/// How a poll shows what arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poll {
    /// The connection that it came on, if its other end is the station's own.
    pub connection: Option<u64>,
    /// The receipt of the answer that the station has.
    pub received: Option<Receipt>,
}

/// What a station has fetched, so that it need not be told of it again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fetched {
    /// A conversation, by `download`.
    Conversation(ConversationId),
    /// The list of conversations.
    List,
    /// The list of friends.
    Friends,
}

impl Notifications {
    /// Takes what a station has to be told, with what it was told before and has not shown to have. A station that is
    /// not known is told to resync. Beside a socket a poll takes nothing: it is the socket that is told.
    pub(crate) fn poll(&self, user: UserId, station: StationId, poll: Poll) -> (Changes, Receipt) {
        let receipt = Receipt::random();
        let mut inner = self.locked();
        if inner.station(user, station).is_none() {
            if !inner.has_room_for(user) {
                return (Changes::resync(), receipt);
            }
            inner
                .by_user
                .entry(user)
                .or_default()
                .insert(station, Pending::new());
        }
        let Some(pending) = inner.station(user, station) else {
            return (Changes::resync(), receipt);
        };
        if poll.received.is_some()
            && pending.in_flight.as_ref().map(|told| told.receipt) == poll.received
        {
            pending.in_flight = None;
        }
        pending.acknowledge(poll.connection);
        if pending.subscriber.is_some() {
            return (pending.changes.ids(), receipt);
        }
        pending.tell_again();
        pending.polled_at = Instant::now();
        let changes = std::mem::take(&mut pending.changes);
        if !changes.is_empty() {
            pending.in_flight = Some(InFlight {
                changes: changes.ids(),
                receipt,
                connection: poll.connection,
            });
        }
        (changes, receipt)
    }

    /// A station has sent another request on a connection of its own: it has what it was told on it before.
    pub(crate) fn acknowledge(&self, user: UserId, station: StationId, connection: u64) {
        if let Some(pending) = self.locked().station(user, station) {
            pending.acknowledge(Some(connection));
        }
    }

    /// The answer to a poll that the station has not shown to have: to be asked before something is fetched, for
    /// [`Notifications::fetched`].
    pub(crate) fn in_flight(&self, user: UserId, station: StationId) -> Option<Receipt> {
        Some(
            self.locked()
                .station(user, station)?
                .in_flight
                .as_ref()?
                .receipt,
        )
    }

    /// A station was given what the answer with this receipt had told it of: it need not be told again.
    pub(crate) fn fetched(
        &self,
        user: UserId,
        station: StationId,
        receipt: Receipt,
        what: Fetched,
    ) {
        let mut inner = self.locked();
        let Some(pending) = inner.station(user, station) else {
            return;
        };
        let Some(told) = pending
            .in_flight
            .as_mut()
            .filter(|told| told.receipt == receipt)
        else {
            return;
        };
        match what {
            Fetched::Conversation(conversation) => {
                told.changes.conversations.remove(&conversation);
            }
            Fetched::List => (told.changes.list, told.changes.resync) = (false, false),
            Fetched::Friends => told.changes.friends.clear(),
        }
        if told.changes.is_empty() {
            pending.in_flight = None;
        }
    }

    /// Adds what happened to the pending notifications of all recipients.
    ///
    /// New rows are handed on only where they join what was announced of their conversation before: else a client
    /// that appends them would miss what comes later, or came by another way (another node, another request of the
    /// same batch).
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            let (_order, rows) = self.order.rows(event);
            for recipients in event.recipients().chunks(CHUNK) {
                let mut inner = self.locked();
                for user in recipients {
                    for (station, pending) in inner.by_user.get_mut(user).into_iter().flatten() {
                        if !matches!(event, Event::PageCut { station: other, .. } if other != station)
                        {
                            pending.add(event, rows);
                        }
                    }
                }
            }
        }
    }

    /// Something may have happened that cannot be announced: every station has to resync.
    pub(crate) fn resync_all(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, pending| match &pending.subscriber {
                None => false,
                Some(subscriber) => {
                    pending.changes.become_resync();
                    subscriber.wake();
                    true
                }
            });
            !stations.is_empty()
        });
    }

    /// Drops what nobody polls for and no socket subscribes to.
    pub(crate) fn evict_idle(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, pending| {
                pending.subscriber.is_some() || pending.polled_at.elapsed() < IDLE
            });
            !stations.is_empty()
        });
    }

    /// How many sockets subscribe, and for how many stations there may be pending notifications.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let inner = self.locked();
        let stations = inner.by_user.values().map(HashMap::len).sum();
        (inner.subscribers, stations)
    }

    /// Whether a socket of this user is open here.
    pub(crate) fn has_socket(&self, user: UserId) -> bool {
        self.locked().sockets_of(user) > 0
    }

    /// The users who have a socket open here.
    pub(crate) fn users_with_sockets(&self) -> HashSet<UserId> {
        let inner = self.locked();
        inner
            .by_user
            .iter()
            .filter(|(_, stations)| {
                stations
                    .values()
                    .any(|pending| pending.subscriber.is_some())
            })
            .map(|(user, _)| *user)
            .collect()
    }

    /// Ends the subscriptions of one user, or of everyone.
    pub(crate) fn disconnect(&self, whose: Option<UserId>) {
        let inner = self.locked();
        for (_, stations) in inner
            .by_user
            .iter()
            .filter(|(user, _)| whose.is_none_or(|whose| whose == **user))
        {
            for subscriber in stations
                .values()
                .filter_map(|pending| pending.subscriber.as_ref())
            {
                subscriber.end();
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock; if it did, sets of ids are still sets of ids.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn station(&mut self, user: UserId, station: StationId) -> Option<&mut Pending> {
        self.by_user.get_mut(&user)?.get_mut(&station)
    }

    fn has_room_for(&self, user: UserId) -> bool {
        self.by_user.len() < MAX_USERS || self.by_user.contains_key(&user)
    }

    fn sockets_of(&self, user: UserId) -> usize {
        self.by_user.get(&user).map_or(0, |stations| {
            stations
                .values()
                .filter(|pending| pending.subscriber.is_some())
                .count()
        })
    }
}

impl Pending {
    /// Of a station that was not known: it has to resync.
    fn new() -> Self {
        Self {
            changes: Changes::resync(),
            in_flight: None,
            polled_at: Instant::now(),
            subscriber: None,
        }
    }

    fn add(&mut self, event: &Event, rows: &[Arc<NewRow>]) {
        let subscriber = self.subscriber.as_ref();
        self.changes.add(
            event,
            rows,
            subscriber.map_or(ClientVersion::V3, |subscriber| subscriber.version),
        );
        if let Some(subscriber) = subscriber.filter(|_| !self.changes.is_empty()) {
            subscriber.wake();
        }
    }

    fn acknowledge(&mut self, connection: Option<u64>) {
        if connection.is_some()
            && self
                .in_flight
                .as_ref()
                .is_some_and(|told| told.connection == connection)
        {
            self.in_flight = None;
        }
    }

    /// What was told and may not have arrived is told once more.
    fn tell_again(&mut self) {
        if let Some(told) = self.in_flight.take() {
            self.changes.add_again(told.changes);
        }
    }
}

#[cfg(test)]
mod tests;
