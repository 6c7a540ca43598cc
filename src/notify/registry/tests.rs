//! Tests which notifications a station gets when answers are lost, late or replaced.

use std::{future::poll_fn, pin::Pin};

use futures_util::poll;

use super::*;
use crate::notify::event::tests::{in_instance, written};
use parlance_wire::id::Receipt;

mod polls;
mod rows;
mod sockets;

const LIMITS: SocketLimits = SocketLimits {
    per_user: 2,
    total: 3,
};
/// Ready when something was added since the last call.
fn changed_in(subscription: &Subscription) -> Pin<Box<impl Future<Output = ()> + use<>>> {
    let feed = subscription.feed();
    Box::pin(poll_fn(move |context| feed.poll_changed(context)))
}

const SILENT: Poll = Poll {
    connection: None,
    received: None,
    version: ClientVersion::V3,
};

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
    Event::ConversationChanged {
        conversation: conversation(n),
        participants: Arc::from([user(1)]),
        new: None,
    }
}
fn on(connection: u64) -> Poll {
    Poll {
        connection: Some(connection),
        received: None,
        version: ClientVersion::V3,
    }
}

/// A registry in which user 1 has polled at station 1 and has nothing pending.
fn polled() -> Arc<Notifications> {
    let notifications = Arc::new(Notifications::default());
    take(&notifications, 1, 1);
    notifications
}

/// Polls for a station and acknowledges the answer.
fn take(notifications: &Notifications, u: u8, s: u8) -> Changes {
    let (changes, receipt) = notifications.poll(user(u), station(s), SILENT);
    let (again, _) = notifications.poll(
        user(u),
        station(s),
        Poll {
            connection: None,
            received: Some(receipt),
            version: ClientVersion::V3,
        },
    );
    assert!(again.is_empty());
    changes
}

/// The sequence numbers of the rows that a socket takes.
fn rows(subscription: &Subscription) -> Vec<i64> {
    subscription
        .feed()
        .take()
        .rows
        .keys()
        .map(|(_, seq)| *seq)
        .collect()
}

#[test]
fn a_station_that_is_not_known_is_told_to_resync_once() {
    let notifications = Notifications::default();
    assert!(take(&notifications, 1, 1).resync);
    assert!(take(&notifications, 1, 1).is_empty());
}

#[test]
fn repeated_changes_are_notified_once_to_each_station_of_the_recipients() {
    let notifications = Notifications::default();
    for (u, s) in [(1, 1), (1, 2), (2, 3)] {
        take(&notifications, u, s);
    }
    notifications.announce(&[changed(7), changed(7)]);
    for s in [1, 2] {
        assert_eq!(
            take(&notifications, 1, s).conversations,
            [conversation(7)].into()
        );
    }
    assert!(take(&notifications, 2, 3).is_empty());
}

#[test]
fn too_many_changes_become_a_resync() {
    let notifications = polled();
    for n in 0..=10_000 {
        notifications.announce(&[changed(n)]);
    }
    let changes = take(&notifications, 1, 1);
    assert!(changes.resync && changes.conversations.len() < 10_000);
}

#[tokio::test]
async fn a_cut_page_notifies_only_its_station_and_wakes_it() {
    let notifications = polled();
    take(&notifications, 1, 2);
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.feed().take();
    assert!(poll!(changed_in(&subscription)).is_pending());
    let cut = Event::PageCut {
        conversation: conversation(7),
        reader: user(1),
        station: station(1),
    };
    notifications.announce(&[cut]);
    assert!(poll!(changed_in(&subscription)).is_ready());
    assert_eq!(
        subscription.feed().take().conversations,
        [conversation(7)].into()
    );
    assert!(take(&notifications, 1, 2).is_empty());
}
