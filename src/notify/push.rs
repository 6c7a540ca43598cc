//! The causes of the next Web Pushes: conversations with a new message, and stations whose socket
//! was opened or closed. Requests only note them here; `server/push.rs` does the work.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::event::Event;
use crate::store::rows::HistoryRow;
use parlance_wire::id::{ConversationId, StationId, UserId};

/// Maximum conversations and stations that are noted. Further ones are dropped, and pushed with
/// their next new message.
const MAX_NOTED: usize = 20_000;
/// The type of the messages that cause a notification, as for `unread` (docs/e2ee.md).
const MESSAGE: &str = "Message";

/// The noted conversations and stations that are still to be handled. One per node.
#[derive(Debug, Default)]
pub(crate) struct PushQueue {
    noted: Mutex<Noted>,
    wake: Notify,
}

/// Noted conversations and stations.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// The number of the newest message in each conversation.
    pub news: HashMap<ConversationId, i64>,
    /// Stations whose socket was opened or closed; `true` if something that was sent to it may not
    /// have arrived.
    pub stations: HashMap<(UserId, StationId), bool>,
}

impl PushQueue {
    /// Notes the messages among these events.
    // For each `add`: it must cost next to nothing.
    pub(crate) fn announce(&self, events: &[Event]) {
        for event in events {
            let Event::ConversationChanged {
                conversation,
                new: Some(new),
                ..
            } = event
            else {
                continue;
            };
            let newest = new.rows.iter().rev().find_map(|new| match &new.row {
                HistoryRow::Message(row) if row.r#type == MESSAGE => Some(row.seq),
                HistoryRow::Message(_) | HistoryRow::Report(_) => None,
            });
            if let Some(seq) = newest {
                self.note(|noted| noted.add_news(*conversation, seq));
            }
        }
    }

    /// Notes that a station's socket was opened or closed.
    pub(crate) fn socket_changed(&self, user: UserId, station: StationId, is_unconfirmed: bool) {
        self.note(|noted| noted.add_station((user, station), is_unconfirmed));
    }

    /// Notes again what could not be done.
    pub(crate) fn put_back(&self, undone: Noted) {
        self.note(|noted| {
            for (conversation, seq) in undone.news {
                noted.add_news(conversation, seq);
            }
            for (station, is_unconfirmed) in undone.stations {
                noted.add_station(station, is_unconfirmed);
            }
        });
    }

    /// Waits until something is noted, and takes all of it.
    pub(crate) async fn take(&self) -> Noted {
        loop {
            let noted = std::mem::take(&mut *self.noted());
            if !noted.news.is_empty() || !noted.stations.is_empty() {
                return noted;
            }
            // Keeps a permit: what is noted before the wait is not missed.
            self.wake.notified().await;
        }
    }

    fn note(&self, note: impl FnOnce(&mut Noted)) {
        note(&mut self.noted());
        self.wake.notify_one();
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        // Whatever a panic leaves behind is a set of hints, so a poisoned lock is still good.
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn add_news(&mut self, conversation: ConversationId, seq: i64) {
        if self.news.len() < MAX_NOTED || self.news.contains_key(&conversation) {
            let newest = self.news.entry(conversation).or_insert(seq);
            *newest = seq.max(*newest);
        }
    }

    fn add_station(&mut self, station: (UserId, StationId), is_unconfirmed: bool) {
        if self.stations.len() < MAX_NOTED || self.stations.contains_key(&station) {
            *self.stations.entry(station).or_insert(false) |= is_unconfirmed;
        }
    }
}
