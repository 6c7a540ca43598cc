//! Pending notifications: the changes that each station has not been notified of. They are a cache and may be lost; then
//! the station has to resync. Notifying too often is allowed, too seldom never (docs/api.md, chatnotification).
//!
//! A station either polls, or has a socket that subscribes. A socket takes the changes whenever it can write: so a
//! slow reader costs a set of ids, not a queue. The answer to a poll is kept until the station acknowledges it.

mod order;
mod pending;
mod subscription;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

pub(crate) use self::subscription::{Feed, SocketLimits, Subscription, TooManySockets};
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

/// What a poll acknowledges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poll {
    /// The connection that it came on, if the station itself is the peer.
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
}

impl Notifications {
    /// Takes the pending changes of a station, along with those of an answer that it has not acknowledged. A station that
    /// is not known has to resync. While the station has a socket, a poll takes nothing: the socket still gets it.
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

    /// A station has sent another request on a connection of its own, which acknowledges the answer before it there.
    pub(crate) fn ack(&self, user: UserId, station: StationId, connection: u64) {
        if let Some(pending) = self.locked().station(user, station) {
            pending.ack(Some(connection));
        }
    }

    /// The receipt of the answer that a station has not acknowledged. Read it before anything is fetched, and pass it to
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

    /// A station has fetched what the answer with this receipt named, so that it need not be named again.
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

    /// Adds events to the pending notifications of all recipients.
    ///
    /// New rows are passed on only if they follow what was announced of their conversation before: a client that appends
    /// others would miss what is announced later, or by another node.
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            // Held until every recipient has the rows, which the next rows of the conversation could otherwise overtake.
            // Always taken before `inner`, never while that is held, so the two cannot deadlock.
            let (_turn, rows) = self.order.rows(event);
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

    /// Drops the pending notifications of stations that have neither polled lately nor a socket.
    pub(crate) fn evict_idle(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, pending| !pending.is_idle());
            !stations.is_empty()
        });
    }

    /// The number of open sockets, and of stations with pending notifications.
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

    /// Ends the subscriptions of one user, or of everyone.
    pub(crate) fn disconnect(&self, whose: Option<UserId>) {
        // Only signalled: a socket's task drops the subscription itself, which takes this lock.
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

#[cfg(test)]
mod tests;
