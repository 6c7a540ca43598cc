//! Slates: what each station has yet to hear. A slate is a cache and may be lost; then its station
//! is told that everything may have changed. Too often is allowed, too seldom never (api.md,
//! chatnotification).

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::event::Event;
use crate::model::id::{ConversationId, StationId, UserId};

/// A slate that nobody asked for in this time is forgotten.
const IDLE: Duration = Duration::from_mins(15);
/// The stations of so many users have slates (a user has at most 100 stations); those of one more
/// are told each time that everything may have changed.
const MOST_USERS: usize = 100_000;
/// A slate with more ids than this is replaced by "everything may have changed".
const MOST_IDS: usize = 10_000;

/// What a station hears: ids, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Conversations with new content.
    pub conversations: BTreeSet<ConversationId>,
    /// Whether the user's own list changed, or the station has to compare everything.
    pub list: bool,
    /// Friends to look at again.
    pub friends: BTreeSet<UserId>,
}

#[derive(Debug)]
struct Slate {
    news: News,
    asked_at: Instant,
}

/// The slates of all stations that this node knows.
#[derive(Debug, Default)]
pub struct Slates {
    by_user: Mutex<HashMap<UserId, HashMap<StationId, Slate>>>,
}

impl Slates {
    /// Takes what a station has yet to hear. One that has no slate gets one, and hears that
    /// everything may have changed.
    pub fn take(&self, user: UserId, station: StationId) -> News {
        let mut by_user = self.locked();
        if let Some(slate) = by_user.get_mut(&user).and_then(|stations| stations.get_mut(&station)) {
            slate.asked_at = Instant::now();
            return std::mem::take(&mut slate.news);
        }
        if by_user.len() < MOST_USERS || by_user.contains_key(&user) {
            let slate = Slate { news: News::default(), asked_at: Instant::now() };
            by_user.entry(user).or_default().insert(station, slate);
        }
        News { list: true, ..News::default() }
    }

    /// Writes what happened onto the slates of all whom it concerns.
    pub fn announce(&self, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut by_user = self.locked();
        for event in events {
            let (concerned, write): (_, &dyn Fn(&mut News)) = match event {
                Event::ConversationChanged { conversation, participants } => (participants, &|news| {
                    news.conversations.insert(*conversation);
                }),
                Event::ListChanged { of } => (of, &|news| news.list = true),
                Event::FriendChanged { friend, seen_by } => (seen_by, &|news| {
                    news.friends.insert(*friend);
                }),
            };
            for user in concerned {
                for slate in by_user.get_mut(user).into_iter().flat_map(HashMap::values_mut) {
                    write(&mut slate.news);
                    if slate.news.conversations.len() + slate.news.friends.len() > MOST_IDS {
                        slate.news = News { list: true, ..News::default() };
                    }
                }
            }
        }
    }

    /// Leaves a conversation on one station's slate: it was told a part, and has to come back.
    pub fn remind(&self, user: UserId, station: StationId, conversation: ConversationId) {
        if let Some(slate) = self.locked().get_mut(&user).and_then(|stations| stations.get_mut(&station)) {
            slate.news.conversations.insert(conversation);
        }
    }

    /// Forgets all slates: something may have happened that cannot be announced. Every station is told
    /// to compare everything.
    pub fn forget(&self) {
        self.locked().clear();
    }

    /// Forgets the slates that nobody asks for.
    pub fn sweep(&self) {
        self.locked().retain(|_, stations| {
            stations.retain(|_, slate| slate.asked_at.elapsed() < IDLE);
            !stations.is_empty()
        });
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<UserId, HashMap<StationId, Slate>>> {
        // Nothing panics while it holds the lock; if it did, sets of ids are still sets of ids.
        self.by_user.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u8) -> UserId {
        UserId::parse(&format!("{n:032x}")).unwrap()
    }
    fn station(n: u8) -> StationId {
        StationId::parse(&format!("{n:032x}")).unwrap()
    }
    fn conversation(n: usize) -> ConversationId {
        ConversationId::parse(&format!("{n:032x}")).unwrap()
    }

    #[test]
    fn a_station_without_a_slate_is_told_to_compare_everything_once() {
        let slates = Slates::default();
        assert!(slates.take(user(1), station(1)).list);
        assert_eq!(slates.take(user(1), station(1)), News::default());
    }

    #[test]
    fn what_happens_twice_is_told_once_to_each_station_of_those_concerned() {
        let slates = Slates::default();
        for (u, s) in [(1, 1), (1, 2), (2, 3)] {
            slates.take(user(u), station(s));
        }
        let event = Event::ConversationChanged { conversation: conversation(7), participants: vec![user(1)] };
        slates.announce(&[event.clone(), event]);
        for s in [1, 2] {
            assert_eq!(slates.take(user(1), station(s)).conversations, BTreeSet::from([conversation(7)]));
        }
        assert_eq!(slates.take(user(2), station(3)), News::default());
    }

    #[test]
    fn a_slate_that_grows_too_long_becomes_compare_everything() {
        let slates = Slates::default();
        slates.take(user(1), station(1));
        for n in 0..=MOST_IDS {
            slates.announce(&[Event::ConversationChanged { conversation: conversation(n), participants: vec![user(1)] }]);
        }
        let news = slates.take(user(1), station(1));
        assert!(news.list && news.conversations.len() < MOST_IDS);
    }
}
