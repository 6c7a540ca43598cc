//! Pending notifications: the changes that each station has not yet been notified of. They are a
//! cache and may be lost, and then the station has to resync. Notifying too often is allowed, too
//! rarely is not (docs/api.md, chatnotification).
//!
//! A station either polls, or subscribes with a socket. A socket takes the changes when it can
//! write, so a slow reader costs a set of ids instead of a queue. Polls are handled in [`poll`],
//! sockets are opened and closed in [`subscription`].

mod poll;
mod subscription;

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task,
    time::{Duration, Instant},
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use self::poll::InFlight;
pub(crate) use self::{
    poll::{Fetched, Poll},
    subscription::{End, SocketLimits, Subscription, TooManySockets},
};
use super::event::{Changes, Event, NewRow, NewRows};
use parlance_wire::{
    id::{ConversationId, StationId, UserId},
    text::Instance,
    version::ClientVersion,
};

/// Maximum users whose stations are kept (a user has at most 100 stations). Stations of further
/// users have to resync at each poll.
const MAX_USERS: usize = 100_000;
/// Recipients per lock hold.
// A group may have thousands of recipients, and everyone's polls wait for this lock.
const CHUNK: usize = 500;
/// Pending notifications that are not polled for this long are dropped.
// A running client polls far more often; one that returns later resyncs.
const IDLE: Duration = Duration::from_mins(15);

/// Number of locks that conversations are spread over, so that announcements rarely wait for each
/// other.
// 256, so that a byte of a hash selects one.
const STRIPES: usize = 256;
/// Maximum conversations remembered under one lock. After one was forgotten, its next row is announced by id only.
const MAX_CONVERSATIONS: usize = 1024;

/// The pending notifications of all stations known to this node.
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

/// The pending notifications of one station.
#[derive(Debug)]
struct Pending {
    changes: Changes,
    /// The answer to the last poll, until the station acknowledges it.
    in_flight: Option<InFlight>,
    polled_at: Instant,
    /// The client version of its last poll.
    polls_as: ClientVersion,
    /// The station's socket.
    subscriber: Option<Arc<Subscriber>>,
}

/// The registry's end of a subscription.
#[derive(Debug)]
struct Subscriber {
    version: ClientVersion,
    /// Whether something was added since the feed was last polled.
    changed: AtomicBool,
    /// Whether the changes taken last may not have arrived.
    unacked: AtomicBool,
    /// The task that writes to the socket.
    // Not a `Notify`: each push wakes it, and a waker needs neither a lock nor a list of waiters.
    task: AtomicWaker,
    /// Set once: the client gets the first reason.
    ended: OnceLock<End>,
    end: Notify,
}

/// The changes of a subscription, for the task that writes to the socket.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    notifications: Arc<Notifications>,
    user: UserId,
    station: StationId,
    subscriber: Arc<Subscriber>,
}

impl Notifications {
    /// Adds events to the pending notifications of all recipients.
    ///
    /// New rows are only passed on if they follow what was announced of their conversation before:
    /// a client that appended others would miss rows that are announced later, or by another node.
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            // Held until every recipient has the rows, as the conversation's next rows could
            // otherwise overtake them. Always taken before `inner` and never while that is held, so
            // the two cannot deadlock.
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

    /// Makes every station resync, as something may have happened that cannot be announced.
    // A polling station is forgotten: at its next poll it is unknown, and has to resync.
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

    /// Drops the pending notifications of stations that have neither polled recently nor a socket.
    pub(crate) fn evict_idle(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, pending| !pending.is_idle());
            !stations.is_empty()
        });
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // A panic while the lock is held cannot leave a set half-changed, so a poisoned lock is
        // still good.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn station(&mut self, user: UserId, station: StationId) -> Option<&mut Pending> {
        self.by_user.get_mut(&user)?.get_mut(&station)
    }

    fn station_or_new(&mut self, user: UserId, station: StationId) -> &mut Pending {
        let stations = self.by_user.entry(user).or_default();
        stations.entry(station).or_insert_with(Pending::new)
    }

    /// A feed's station, unless another socket has replaced the feed's, or the station is gone.
    fn station_of(&mut self, feed: &Feed) -> Option<&mut Pending> {
        self.station(feed.user, feed.station).filter(|pending| {
            let subscriber = pending.subscriber.as_ref();
            subscriber.is_some_and(|subscriber| Arc::ptr_eq(subscriber, &feed.subscriber))
        })
    }

    fn has_room_for(&self, user: UserId) -> bool {
        self.by_user.len() < MAX_USERS || self.by_user.contains_key(&user)
    }
}

impl Pending {
    /// The pending notifications of an unknown station, which has to resync.
    fn new() -> Self {
        Self {
            changes: Changes::resync(),
            in_flight: None,
            polled_at: Instant::now(),
            polls_as: ClientVersion::V3,
            subscriber: None,
        }
    }

    fn is_idle(&self) -> bool {
        self.subscriber.is_none() && self.polled_at.elapsed() >= IDLE
    }

    fn add(&mut self, event: &Event, rows: &[Arc<NewRow>]) {
        let subscriber = self.subscriber.as_ref();
        if matches!(event, Event::StationAdded { .. })
            && subscriber.is_some_and(|subscriber| !subscriber.version.is_v4())
        {
            return;
        }
        let version = match (subscriber, event) {
            (Some(subscriber), _) => subscriber.version,
            (None, Event::Erased { .. }) => self.polls_as,
            // A poll gets no rows, whatever the version.
            (None, _) => ClientVersion::V3,
        };
        self.changes.add(event, rows, version);
        if let Some(subscriber) = subscriber.filter(|_| !self.changes.is_empty()) {
            subscriber.wake();
        }
    }
}

impl Subscriber {
    fn new(version: ClientVersion) -> Self {
        Self {
            version,
            changed: AtomicBool::new(false),
            unacked: AtomicBool::new(false),
            task: AtomicWaker::new(),
            ended: OnceLock::new(),
            end: Notify::new(),
        }
    }

    fn wake(&self) {
        // A task that was woken and has not run yet will find this change as well.
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.task.wake();
        }
    }

    fn end(&self, end: End) {
        let _ = self.ended.set(end);
        self.end.notify_one();
    }
}

impl Feed {
    /// Ready when something may have been added since the last call.
    pub(crate) fn poll_changed(&self, context: &task::Context<'_>) -> task::Poll<()> {
        // Registered before the check, so that a change in between wakes the task.
        self.subscriber.task.register(context.waker());
        if self.subscriber.changed.swap(false, Ordering::AcqRel) {
            task::Poll::Ready(())
        } else {
            task::Poll::Pending
        }
    }

    /// Takes the pending changes; nothing, once the subscription was replaced, revoked or dropped.
    /// Until [`Subscription::ack`], they count as possibly lost.
    pub(crate) fn take(&self) -> Changes {
        if self.subscriber.ended.get().is_some() {
            return Changes::default();
        }
        let mut inner = self.notifications.locked();
        let Some(pending) = inner.station_of(self) else {
            return Changes::default();
        };
        let changes = std::mem::take(&mut pending.changes);
        // Under the lock, so that a subscription that is dropped right after sees it and makes the
        // station resync.
        if !changes.is_empty() {
            self.subscriber.unacked.store(true, Ordering::Release);
        }
        changes
    }
}

type Stripe = Mutex<HashMap<ConversationId, Head>>;

/// The newest row of each conversation that was announced on this node.
#[derive(Debug)]
struct Order {
    stripes: [Stripe; STRIPES],
    // Keyed at random: with a fixed hash, users could look for conversations that share a lock with
    // someone else's.
    hasher: RandomState,
}

/// The newest row that was announced.
#[derive(Debug)]
struct Head {
    seq: i64,
    /// `None` if another node stored the row, as hints do not carry the instance.
    instance: Option<Instance>,
}

/// The right to announce rows of a conversation, which nobody else has while it is held.
type Turn<'a> = MutexGuard<'a, HashMap<ConversationId, Head>>;

impl Default for Order {
    fn default() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Stripe::default()),
            hasher: RandomState::new(),
        }
    }
}

impl Order {
    /// An event's rows, if they follow what was announced of the conversation before; otherwise
    /// none. The guard has to be held until they are passed on.
    fn rows<'a>(&self, event: &'a Event) -> (Option<Turn<'_>>, &'a [Arc<NewRow>]) {
        match event {
            Event::ConversationChanged {
                conversation,
                new: Some(new),
                ..
            } => {
                let mut heads = self.turn(conversation);
                let joins = advance(&mut heads, *conversation, new);
                (Some(heads), if joins { &new.rows } else { &[] })
            }
            Event::Erased {
                conversation,
                last_seq,
                ..
            } => {
                // As if all rows up to here had been announced: one that comes late may be an erased one, and is only named.
                let mut heads = self.turn(conversation);
                let all = NewRows {
                    first: *last_seq,
                    last: *last_seq,
                    rows: vec![],
                };
                advance(&mut heads, *conversation, &all);
                (Some(heads), &[])
            }
            _ => (None, &[]),
        }
    }

    fn turn(&self, conversation: &ConversationId) -> Turn<'_> {
        let [byte, ..] = self.hasher.hash_one(conversation).to_ne_bytes();
        // Not `expect`: the lint is off in the unit tests.
        #[allow(
            clippy::indexing_slicing,
            reason = "there is a stripe for every value of a byte"
        )]
        let stripe = &self.stripes[usize::from(byte)];
        // A panic while the lock is held cannot leave a head half-changed, so a poisoned lock is
        // still good.
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves a conversation's head. Returns `true` if the rows follow it.
fn advance(
    heads: &mut HashMap<ConversationId, Head>,
    conversation: ConversationId,
    new: &NewRows,
) -> bool {
    let instance = new.rows.first().map(|row| row.instance.clone());
    let head = heads.get(&conversation);
    let joins = match head {
        // It is unknown what was announced before this node started, but nothing precedes the first
        // row.
        None => new.first == 1,
        // After a `clear`, a client that holds rows of the old instance must not append these.
        Some(head) => {
            new.first == head.seq + 1
                && (head.instance.is_none() || instance.is_none() || head.instance == instance)
        }
    };
    // Never backwards: after a late announcement of an older row, a row that was passed on already
    // would seem to follow again.
    if head.is_none_or(|head| head.seq < new.last) {
        if heads.len() >= MAX_CONVERSATIONS && !heads.contains_key(&conversation) {
            // Rare, and costs each conversation one row that is announced by id only, which is
            // cheaper than tracking their use.
            heads.clear();
        }
        heads.insert(
            conversation,
            Head {
                seq: new.last,
                instance,
            },
        );
    }
    joins
}

#[cfg(test)]
mod tests;
