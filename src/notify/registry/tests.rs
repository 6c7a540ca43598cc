//! What a station is told, whatever is lost, late or replaced.

use std::task::Poll as Ready;

use futures_util::poll;

use super::*;
use crate::notify::{
    changes::tests::{in_instance, written},
    event::NewRows,
};

mod sockets;

const LIMITS: SocketLimits = SocketLimits {
    per_user: 2,
    total: 3,
};
const SILENT: Poll = Poll {
    connection: None,
    received: None,
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
    }
}

/// A registry in which user 1 has polled at station 1 and has nothing pending.
fn polled() -> Arc<Notifications> {
    let notifications = Arc::new(Notifications::default());
    take(&notifications, 1, 1);
    notifications
}

/// What a station is told that shows to have it.
fn take(notifications: &Notifications, u: u8, s: u8) -> Changes {
    let (changes, receipt) = notifications.poll(user(u), station(s), SILENT);
    let (again, _) = notifications.poll(
        user(u),
        station(s),
        Poll {
            connection: None,
            received: Some(receipt),
        },
    );
    assert!(again.is_empty());
    changes
}

/// The conversations and numbers of the rows that a socket takes.
fn rows(subscription: &mut Subscription) -> Vec<i64> {
    subscription
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
fn what_happens_twice_is_told_once_to_each_station_of_the_recipients() {
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

#[test]
fn what_a_poll_was_told_is_told_again_until_the_station_shows_that_it_has_it() {
    let told = |notifications: &Notifications, poll| {
        notifications
            .poll(user(1), station(1), poll)
            .0
            .conversations
            .len()
    };
    let notifications = polled();
    notifications.announce(&[changed(7)]);
    // A lost answer, whatever connection comes next; what is new comes with it.
    assert_eq!(told(&notifications, on(1)), 1);
    assert_eq!(told(&notifications, on(2)), 1);
    notifications.announce(&[changed(8)]);
    assert_eq!(told(&notifications, SILENT), 2);
    assert_eq!(told(&notifications, SILENT), 2);
    assert_eq!(told(&notifications, on(3)), 2);
    // A poll on the same connection.
    assert_eq!(told(&notifications, on(3)), 0);
    // Another request on it.
    notifications.announce(&[changed(7)]);
    assert_eq!(told(&notifications, on(3)), 1);
    notifications.acknowledge(user(1), station(1), 4);
    assert_eq!(told(&notifications, on(5)), 1);
    notifications.acknowledge(user(1), station(1), 5);
    assert_eq!(told(&notifications, on(6)), 0);
    // A poll that names the answer; one that names an older one does not help.
    notifications.announce(&[changed(7)]);
    let (_, lost) = notifications.poll(user(1), station(1), SILENT);
    let (changes, receipt) = notifications.poll(
        user(1),
        station(1),
        Poll {
            connection: None,
            received: Some(Receipt::random()),
        },
    );
    assert_eq!(changes.conversations.len(), 1);
    assert_eq!(
        told(
            &notifications,
            Poll {
                connection: None,
                received: Some(lost)
            }
        ),
        1
    );
    assert_eq!(
        told(
            &notifications,
            Poll {
                connection: None,
                received: Some(receipt)
            }
        ),
        1
    );
}

#[test]
fn what_a_poll_was_told_is_not_told_again_once_it_was_fetched() {
    let notifications = polled();
    let all = [
        changed(7),
        Event::ListChanged { of: vec![user(1)] },
        Event::FriendChanged {
            friend: user(2),
            seen_by: vec![user(1)],
        },
    ];
    notifications.announce(&all);
    let (_, receipt) = notifications.poll(user(1), station(1), SILENT);
    // Fetched before it was told: perhaps without it.
    notifications.fetched(
        user(1),
        station(1),
        Receipt::random(),
        Fetched::Conversation(conversation(7)),
    );
    assert_eq!(notifications.in_flight(user(1), station(1)), Some(receipt));
    notifications.fetched(
        user(1),
        station(1),
        receipt,
        Fetched::Conversation(conversation(8)),
    );
    notifications.fetched(
        user(1),
        station(1),
        receipt,
        Fetched::Conversation(conversation(7)),
    );
    let (changes, receipt) = notifications.poll(user(1), station(1), SILENT);
    assert!(changes.conversations.is_empty() && changes.list && changes.friends.len() == 1);
    notifications.fetched(user(1), station(1), receipt, Fetched::List);
    let (changes, receipt) = notifications.poll(user(1), station(1), SILENT);
    assert!(!changes.list && changes.friends.len() == 1);
    notifications.fetched(user(1), station(1), receipt, Fetched::Friends);
    assert_eq!(notifications.in_flight(user(1), station(1)), None);
    assert!(notifications.poll(user(1), station(1), SILENT).0.is_empty());
}

#[test]
fn what_was_fetched_before_a_poll_was_answered_says_nothing_of_what_it_told() {
    let notifications = polled();
    notifications.announce(&[changed(7)]);
    let (_, before) = notifications.poll(user(1), station(1), SILENT);
    // A download begins here, and ends after the next poll, which tells of what is newer than it.
    notifications.announce(&[changed(7)]);
    notifications.poll(user(1), station(1), SILENT);
    notifications.fetched(
        user(1),
        station(1),
        before,
        Fetched::Conversation(conversation(7)),
    );
    assert_eq!(
        notifications
            .poll(user(1), station(1), SILENT)
            .0
            .conversations,
        [conversation(7)].into()
    );
}

#[test]
fn rows_are_told_in_the_order_of_their_commits_or_not_at_all() {
    // In which order they are announced, and the numbers that each frame brings, if one is taken after each.
    type Case = (&'static [i64], &'static [i64], &'static [&'static [i64]]);
    let cases: [Case; 4] = [
        (&[1, 2, 3], &[1, 2, 3], &[&[1], &[2], &[3]]),
        (&[1, 3, 2, 4], &[], &[&[1], &[], &[], &[4]]),
        (&[2, 1, 3], &[], &[&[], &[], &[3]]),
        (&[1, 4, 2, 3, 5], &[], &[&[1], &[], &[], &[], &[5]]),
    ];
    for (order, at_once, one_by_one) in cases {
        let notifications = Arc::new(Notifications::default());
        let (mut subscription, _) = notifications
            .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
            .unwrap();
        subscription.take();
        for seq in order {
            notifications.announce(&[written(7, *seq, 0)]);
        }
        let frame = subscription.take();
        assert_eq!(frame.conversations, [conversation(7)].into());
        assert_eq!(
            frame.rows.keys().map(|(_, seq)| *seq).collect::<Vec<_>>(),
            at_once,
            "{order:?}"
        );
        for (seq, expected) in order.iter().zip(one_by_one) {
            notifications.announce(&[written(8, *seq, 0)]);
            assert_eq!(rows(&mut subscription), *expected, "{order:?} at {seq}");
        }
    }
}

#[test]
fn after_rows_that_are_not_at_hand_the_next_ones_join() {
    let notifications = Arc::new(Notifications::default());
    let (mut subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.take();
    notifications.announce(&[written(7, 1, 0)]);
    assert_eq!(rows(&mut subscription), [1]);
    // Of another node, or too many: numbers alone.
    let unseen = Event::ConversationChanged {
        conversation: conversation(7),
        participants: Arc::from([user(1)]),
        new: Some(NewRows {
            first: 2,
            last: 60,
            rows: vec![],
        }),
    };
    notifications.announce(&[unseen]);
    assert!(rows(&mut subscription).is_empty());
    notifications.announce(&[written(7, 61, 0)]);
    assert_eq!(rows(&mut subscription), [61]);
    // A retry, or a clear, says nothing of numbers.
    notifications.announce(&[changed(7)]);
    assert!(rows(&mut subscription).is_empty());
    notifications.announce(&[written(7, 62, 0)]);
    assert_eq!(rows(&mut subscription), [62]);
    // The first row of another instance: whoever holds the one before has to look.
    notifications.announce(&[in_instance(7, 63, 0, "BBBBBBBBBB")]);
    assert!(rows(&mut subscription).is_empty());
    notifications.announce(&[in_instance(7, 64, 0, "BBBBBBBBBB")]);
    assert_eq!(rows(&mut subscription), [64]);
}

#[tokio::test]
async fn a_page_that_was_cut_is_told_to_its_station_alone_and_wakes_it() {
    let notifications = polled();
    take(&notifications, 1, 2);
    let (mut subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.take();
    let _ = poll!(Box::pin(subscription.changed()));
    let cut = Event::PageCut {
        conversation: conversation(7),
        reader: user(1),
        station: station(1),
    };
    notifications.announce(&[cut]);
    assert_eq!(poll!(Box::pin(subscription.changed())), Ready::Ready(true));
    assert_eq!(subscription.take().conversations, [conversation(7)].into());
    assert!(take(&notifications, 1, 2).is_empty());
}

#[test]
fn a_resync_brings_no_rows_and_keeps_the_friends_to_look_at() {
    let notifications = Arc::new(Notifications::default());
    let (mut subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.take();
    notifications.announce(&[
        written(7, 1, 0),
        Event::FriendChanged {
            friend: user(2),
            seen_by: vec![user(1)],
        },
    ]);
    notifications.resync_all();
    // It follows on what was dropped.
    notifications.announce(&[written(7, 2, 0)]);
    let changes = subscription.take();
    assert!(
        changes.resync
            && changes.rows.is_empty()
            && changes.conversations == [conversation(7)].into()
    );
    assert_eq!(changes.friends, [user(2)].into());
    notifications.announce(&[written(7, 3, 0)]);
    assert_eq!(rows(&mut subscription), [3]);
}
