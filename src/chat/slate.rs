//! Slates: what each station has yet to hear. A slate is a cache and may be lost; then its station
//! is told that everything may have changed. Too often is allowed, too seldom never (docs/api.md,
//! chatnotification).
//!
//! A station either asks for its slate or listens on it, through a socket. A socket takes the slate
//! whenever it can write: so a slow reader costs a set of ids, not a queue.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{error::Error, event::Event, news::News};
use crate::model::id::{ConversationId, StationId, UserId};

/// A slate that nobody asked for in this time is forgotten.
const IDLE: Duration = Duration::from_mins(15);
/// The stations of so many users have slates (a user has at most 100 stations); those of one more
/// are told each time that everything may have changed.
const MOST_USERS: usize = 100_000;
/// Others go on between so many stations.
const CHUNK: usize = 500;
/// One who is refused may try again after this.
const RETRY: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Slate {
    news: News,
    asked_at: Instant,
    listener: Option<Arc<Listener>>,
}

#[derive(Debug)]
struct Listener {
    wake: Notify,
    is_v4: bool,
    is_replaced: AtomicBool,
}

/// How many sockets are held.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// Of one user, at most.
    pub for_user: usize,
    /// In all, at most.
    pub in_all: usize,
}

/// The slates of all stations that this node knows.
#[derive(Debug, Default)]
pub struct Slates {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    by_user: HashMap<UserId, HashMap<StationId, Slate>>,
    listeners: usize,
}

impl Slates {
    /// Takes what a station has yet to hear. One that has no slate gets one, and hears that
    /// everything may have changed.
    pub fn take(&self, user: UserId, station: StationId) -> News {
        let mut inner = self.locked();
        if let Some(slate) = inner.slate(user, station) {
            slate.asked_at = Instant::now();
            return std::mem::take(&mut slate.news);
        }
        if inner.has_room_for(user) {
            let slate = Slate { news: News::default(), asked_at: Instant::now(), listener: None };
            inner.by_user.entry(user).or_default().insert(station, slate);
        }
        News::everything()
    }

    /// As [`Slates::take`], for an answer that may not arrive: unless what is answered is told that it did,
    /// all is on the slate again once it is dropped.
    pub fn lend(self: &Arc<Self>, user: UserId, station: StationId) -> Lent {
        Lent { news: self.take(user, station), slates: self.clone(), user, station, has_arrived: false }
    }

    /// Listens on a station's slate, until what is answered is dropped. Another one that listens on it
    /// gives way: it is the same station, connected again. Also whether this is the user's first.
    ///
    /// # Errors
    /// `RateLimited`, where the user, or the node, holds as many sockets as it may.
    pub fn listen(self: &Arc<Self>, user: UserId, station: StationId, is_v4: bool, room: Room) -> Result<(Listening, bool), Error> {
        let mut inner = self.locked();
        let of_user = inner.listeners_of(user);
        let is_again = inner.slate(user, station).is_some_and(|slate| slate.listener.is_some());
        if !is_again && (of_user >= room.for_user || inner.listeners >= room.in_all || !inner.has_room_for(user)) {
            return Err(Error::RateLimited(RETRY));
        }
        let listener = Arc::new(Listener { wake: Notify::new(), is_v4, is_replaced: AtomicBool::new(false) });
        let slate = inner.by_user.entry(user).or_default().entry(station).or_insert_with(|| Slate {
            news: News::everything(),
            asked_at: Instant::now(),
            listener: None,
        });
        slate.news.leave_all_out();
        if let Some(other) = slate.listener.replace(listener.clone()) {
            other.is_replaced.store(true, Ordering::Release);
            other.wake.notify_one();
            // Nobody knows what of the other one's pushes arrived.
            slate.news.list = true;
        } else {
            inner.listeners += 1;
        }
        Ok((Listening { slates: self.clone(), user, station, listener, is_doubtful: false }, of_user == 0))
    }

    /// Writes what happened onto the slates of all whom it concerns.
    pub fn announce(&self, events: &[Event]) {
        for event in events {
            for concerned in event.concerned().chunks(CHUNK) {
                let mut inner = self.locked();
                for user in concerned {
                    for slate in inner.by_user.get_mut(user).into_iter().flat_map(HashMap::values_mut) {
                        let listener = slate.listener.as_ref();
                        slate.news.add(event, listener.is_some_and(|listener| listener.is_v4));
                        if let Some(listener) = listener.filter(|_| !slate.news.is_empty()) {
                            listener.wake.notify_one();
                        }
                    }
                }
            }
        }
    }

    /// Leaves a conversation on one station's slate: it was told a part, and has to come back.
    pub fn remind(&self, user: UserId, station: StationId, conversation: ConversationId) {
        if let Some(slate) = self.locked().slate(user, station) {
            slate.news.conversations.insert(conversation);
            slate.news.leave_out(conversation);
            if let Some(listener) = &slate.listener {
                listener.wake.notify_one();
            }
        }
    }

    /// Forgets all slates: something may have happened that cannot be announced. Every station is told
    /// to compare everything.
    pub fn forget(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, slate| match &slate.listener {
                None => false,
                Some(listener) => {
                    slate.news = News::everything();
                    listener.wake.notify_one();
                    true
                }
            });
            !stations.is_empty()
        });
    }

    /// Forgets the slates that nobody asks for or listens on.
    pub fn sweep(&self) {
        self.locked().by_user.retain(|_, stations| {
            stations.retain(|_, slate| slate.listener.is_some() || slate.asked_at.elapsed() < IDLE);
            !stations.is_empty()
        });
    }

    /// Whether a socket of this user's is open here.
    pub fn hears(&self, user: UserId) -> bool {
        self.locked().listeners_of(user) > 0
    }

    /// Ends all listening of a user's, or of everyone.
    pub fn hang_up(&self, whose: Option<UserId>) {
        let inner = self.locked();
        for (_, stations) in inner.by_user.iter().filter(|(user, _)| whose.is_none_or(|whose| whose == **user)) {
            for listener in stations.values().filter_map(|slate| slate.listener.as_ref()) {
                listener.is_replaced.store(true, Ordering::Release);
                listener.wake.notify_one();
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while it holds the lock; if it did, sets of ids are still sets of ids.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn slate(&mut self, user: UserId, station: StationId) -> Option<&mut Slate> {
        self.by_user.get_mut(&user)?.get_mut(&station)
    }

    fn has_room_for(&self, user: UserId) -> bool {
        self.by_user.len() < MOST_USERS || self.by_user.contains_key(&user)
    }

    fn listeners_of(&self, user: UserId) -> usize {
        self.by_user.get(&user).map_or(0, |stations| stations.values().filter(|slate| slate.listener.is_some()).count())
    }
}

/// News on their way to a station that asked.
#[derive(Debug)]
pub struct Lent {
    /// What it hears.
    pub news: News,
    slates: Arc<Slates>,
    user: UserId,
    station: StationId,
    has_arrived: bool,
}

impl Lent {
    /// They were handed over.
    pub fn arrives(&mut self) {
        self.has_arrived = true;
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.has_arrived
            && let Some(slate) = self.slates.locked().slate(self.user, self.station)
        {
            for conversation in &self.news.conversations {
                slate.news.conversations.insert(*conversation);
                slate.news.leave_out(*conversation);
            }
            slate.news.friends.append(&mut self.news.friends);
            slate.news.list |= self.news.list;
        }
    }
}

/// A station that listens. It stops when this is dropped.
#[derive(Debug)]
pub struct Listening {
    slates: Arc<Slates>,
    user: UserId,
    station: StationId,
    listener: Arc<Listener>,
    is_doubtful: bool,
}

impl Listening {
    /// Waits until there may be something to hear. `false`: it is over, another one listens, or the user
    /// is not wanted any more.
    pub async fn wait(&self) -> bool {
        self.listener.wake.notified().await;
        !self.listener.is_replaced.load(Ordering::Acquire)
    }

    /// Takes what is there to hear. Until [`Listening::is_sure`], nobody knows whether it arrived.
    pub fn take(&mut self) -> News {
        let mut inner = self.slates.locked();
        let news = inner.slate(self.user, self.station).map(|slate| std::mem::take(&mut slate.news)).unwrap_or_default();
        self.is_doubtful |= !news.is_empty();
        news
    }

    /// The peer has shown that all that was taken has arrived.
    pub fn is_sure(&mut self) {
        self.is_doubtful = false;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut inner = self.slates.locked();
        let Some(slate) = inner.slate(self.user, self.station) else { return };
        if slate.listener.as_ref().is_some_and(|listener| Arc::ptr_eq(listener, &self.listener)) {
            slate.listener = None;
            slate.asked_at = Instant::now();
            slate.news.leave_all_out();
            slate.news.typing.clear();
            // What was pushed last may have been lost with the connection.
            slate.news.list |= self.is_doubtful;
            inner.listeners -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::news::tests::written;

    const ROOM: Room = Room { for_user: 2, in_all: 3 };

    fn user(n: u8) -> UserId {
        UserId::parse(&format!("{n:032x}")).unwrap()
    }
    fn station(n: u8) -> StationId {
        StationId::parse(&format!("{n:032x}")).unwrap()
    }
    fn conversation(n: usize) -> ConversationId {
        ConversationId::parse(&format!("{n:032x}")).unwrap()
    }
    fn changed(n: usize) -> Event {
        Event::ConversationChanged { conversation: conversation(n), participants: Arc::from([user(1)]), fresh: vec![] }
    }

    #[test]
    fn a_station_without_a_slate_is_told_to_compare_everything_once() {
        let slates = Slates::default();
        assert!(slates.take(user(1), station(1)).list);
        assert!(slates.take(user(1), station(1)).is_empty());
    }

    #[test]
    fn what_happens_twice_is_told_once_to_each_station_of_those_concerned() {
        let slates = Slates::default();
        for (u, s) in [(1, 1), (1, 2), (2, 3)] {
            slates.take(user(u), station(s));
        }
        slates.announce(&[changed(7), changed(7)]);
        for s in [1, 2] {
            assert_eq!(slates.take(user(1), station(s)).conversations, [conversation(7)].into());
        }
        assert!(slates.take(user(2), station(3)).is_empty());
    }

    #[test]
    fn a_slate_that_grows_too_long_becomes_compare_everything() {
        let slates = Slates::default();
        slates.take(user(1), station(1));
        for n in 0..=10_000 {
            slates.announce(&[changed(n)]);
        }
        let news = slates.take(user(1), station(1));
        assert!(news.list && news.conversations.len() < 10_000);
    }

    #[test]
    fn sockets_are_counted_for_each_user_and_in_all() {
        let slates = Arc::new(Slates::default());
        let listen = |u, s| slates.listen(user(u), station(s), true, ROOM);
        let (first, is_first) = listen(1, 1).unwrap();
        let (second, is_first_again) = listen(1, 2).unwrap();
        assert!(is_first && !is_first_again);
        assert!(listen(1, 3).is_err());
        let _other = listen(2, 4).unwrap();
        assert!(listen(3, 5).is_err());
        // The same station again takes the place of the other one, which ends without a trace.
        let (_again, _) = listen(1, 2).unwrap();
        drop(second);
        assert!(slates.hears(user(1)) && listen(3, 5).is_err());
        drop(first);
        assert!(listen(3, 5).is_ok());
    }

    #[test]
    fn what_was_pushed_and_not_confirmed_is_doubtful_when_the_socket_ends() {
        let slates = Arc::new(Slates::default());
        for (confirms, expected) in [(true, false), (false, true)] {
            let (mut listening, _) = slates.listen(user(1), station(1), false, ROOM).unwrap();
            listening.take();
            slates.announce(&[changed(7)]);
            assert_eq!(listening.take().conversations.len(), 1);
            if confirms {
                listening.is_sure();
            }
            drop(listening);
            assert_eq!(slates.take(user(1), station(1)).list, expected);
        }
    }

    #[test]
    fn what_did_not_arrive_is_on_the_slate_again() {
        let slates = Arc::new(Slates::default());
        slates.take(user(1), station(1));
        for arrives in [false, true] {
            slates.announce(&[changed(7)]);
            let mut lent = slates.lend(user(1), station(1));
            assert_eq!(lent.news.conversations.len(), 1);
            slates.announce(&[changed(8)]);
            if arrives {
                lent.arrives();
            }
            drop(lent);
            assert_eq!(slates.take(user(1), station(1)).conversations.len(), if arrives { 1 } else { 2 });
        }
    }

    #[test]
    fn what_was_on_the_slate_before_one_listens_can_only_be_named() {
        let slates = Arc::new(Slates::default());
        slates.take(user(1), station(1));
        slates.announce(&[changed(7)]);
        for _ in 0..2 {
            let (mut listening, _) = slates.listen(user(1), station(1), true, ROOM).unwrap();
            slates.announce(&[written(7, 2, 0)]);
            let news = listening.take();
            assert!(news.conversations.contains(&conversation(7)) && news.fresh.is_empty());
            slates.announce(&[written(7, 3, 0)]);
            drop(listening);
        }
    }

    #[test]
    fn to_forget_wakes_those_who_listen() {
        let slates = Arc::new(Slates::default());
        let (mut listening, _) = slates.listen(user(1), station(1), false, ROOM).unwrap();
        listening.take();
        slates.forget();
        assert!(listening.take().list);
    }
}
