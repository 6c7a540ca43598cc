//! Pending notifications: the changes that each station has not been notified of. They are a cache and may be lost; then
//! the station has to resync. Notifying too often is allowed, too seldom never (docs/api.md, chatnotification).
//!
//! A station either polls, or has a socket that subscribes. A socket takes the changes whenever it can write: so a
//! slow reader costs a set of ids, not a queue. What a poll was answered is kept until the station shows that it has it.

mod order;
mod pending;
mod subscription;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub(crate) use self::subscription::{End, Feed, SocketLimits, Subscription, TooManySockets};
use self::{order::Order, pending::Pending};
use super::{changes::Changes, event::Event};
use parlance_wire::id::{ConversationId, Receipt, StationId, UserId};

/// Maximum users whose stations are kept (a user has at most 100 stations). Stations of further users have to
/// resync at each poll.
const MAX_USERS: usize = 100_000;
/// Recipients per lock hold.
// A group may have thousands, and polls of everyone wait for this lock.
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

/// How a poll shows what arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poll {
    /// The connection that it came on, if its other end is the station's own.
    pub connection: Option<u64>,
    /// The receipt of the answer that the station has.
    pub received: Option<Receipt>,
}

/// What a station has fetched, so that it need not be notified of it again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fetched {
    /// A conversation, by `download`.
    Conversation(ConversationId),
    /// The list of conversations.
    List,
    /// The list of friends.
    Friends,
    /// The list of stations.
    Stations,
}

/// Whose subscriptions to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose {
    Everyone,
    User(UserId),
    Station(UserId, StationId),
}

impl Whose {
    fn includes(self, user: UserId, station: StationId) -> bool {
        match self {
            Self::Everyone => true,
            Self::User(one) => one == user,
            Self::Station(one, its) => (one, its) == (user, station),
        }
    }
}

impl Notifications {
    /// Takes what changed for a station, along with what it was sent before and has not shown to have. A station that is
    /// not known has to resync. Beside a socket a poll takes nothing: the socket still gets it.
    pub(crate) fn poll(&self, user: UserId, station: StationId, poll: Poll) -> (Changes, Receipt) {
        let receipt = Receipt::random();
        let mut inner = self.locked();
        if !inner.has_room_for(user) {
            return (Changes::resync(), receipt);
        }
        let pending = inner
            .by_user
            .entry(user)
            .or_default()
            .entry(station)
            .or_insert_with(Pending::new);
        (pending.poll(poll, receipt), receipt)
    }

    /// A station has sent another request on a connection of its own: it has what it was answered there before.
    pub(crate) fn ack(&self, user: UserId, station: StationId, connection: u64) {
        if let Some(pending) = self.locked().station(user, station) {
            pending.ack(Some(connection));
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

    /// A station was given what the answer with this receipt had named: it need not be named again.
    pub(crate) fn fetched(
        &self,
        user: UserId,
        station: StationId,
        receipt: Receipt,
        what: Fetched,
    ) {
        if let Some(pending) = self.locked().station(user, station) {
            pending.fetched(receipt, what);
        }
    }

    /// Adds what happened to the pending notifications of all recipients.
    ///
    /// New rows are handed on only where they follow what was announced of their conversation before: a client that
    /// appends others would miss what is announced later, or by another node.
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            // Held until every recipient has the rows: else the next rows of the conversation could overtake them.
            let (_turn, rows) = self.order.rows(event);
            for recipients in event.recipients().chunks(CHUNK) {
                let mut inner = self.locked();
                for user in recipients {
                    for (station, pending) in inner.by_user.get_mut(user).into_iter().flatten() {
                        if event.is_for(*station) {
                            pending.add(event, rows);
                        }
                    }
                }
            }
        }
    }

    /// Something may have happened that cannot be announced: every station has to resync.
    // A station that polls is forgotten: at its next poll it is not known, and has to resync.
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
            stations.retain(|_, pending| !pending.is_idle());
            !stations.is_empty()
        });
    }

    /// How many sockets subscribe, and for how many stations there may be pending notifications.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let inner = self.locked();
        let stations = inner.by_user.values().map(HashMap::len).sum();
        (inner.subscribers, stations)
    }

    /// Returns `true` if a socket of this user is open here.
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

    /// The stations that have a socket open here.
    pub(crate) fn stations_with_sockets(&self) -> Vec<(UserId, StationId)> {
        let inner = self.locked();
        let mut found = Vec::with_capacity(inner.subscribers);
        for (user, stations) in &inner.by_user {
            let open = stations
                .iter()
                .filter(|(_, pending)| pending.subscriber.is_some());
            found.extend(open.map(|(station, _)| (*user, *station)));
        }
        found
    }

    /// Ends subscriptions.
    pub(crate) fn disconnect(&self, whose: Whose, end: End) {
        let inner = self.locked();
        for (user, stations) in &inner.by_user {
            for (station, pending) in stations {
                if let Some(subscriber) = pending
                    .subscriber
                    .as_ref()
                    .filter(|_| whose.includes(*user, *station))
                {
                    subscriber.end(end);
                }
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

#[cfg(test)]
mod tests;
