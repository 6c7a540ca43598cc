//! Tests which changes a poll gets, and which are repeated.

use super::*;

#[test]
fn the_answer_to_a_poll_is_repeated_until_it_is_acknowledged() {
    let told = |notifications: &Notifications, poll| {
        notifications
            .poll(user(1), station(1), poll)
            .0
            .conversations
            .len()
    };
    let notifications = polled();
    notifications.announce(&[changed(7)]);
    // A lost answer is repeated on any connection, along with new changes.
    assert_eq!(told(&notifications, on(1)), 1);
    assert_eq!(told(&notifications, on(2)), 1);
    notifications.announce(&[changed(8)]);
    assert_eq!(told(&notifications, SILENT), 2);
    assert_eq!(told(&notifications, SILENT), 2);
    assert_eq!(told(&notifications, on(3)), 2);
    // A poll on the same connection acknowledges it.
    assert_eq!(told(&notifications, on(3)), 0);
    // So does another request on it.
    notifications.announce(&[changed(7)]);
    assert_eq!(told(&notifications, on(3)), 1);
    notifications.ack(user(1), station(1), 4);
    assert_eq!(told(&notifications, on(5)), 1);
    notifications.ack(user(1), station(1), 5);
    assert_eq!(told(&notifications, on(6)), 0);
    // A poll with the answer's receipt acknowledges it; one with an older receipt does not.
    notifications.announce(&[changed(7)]);
    let (_, lost) = notifications.poll(user(1), station(1), SILENT);
    let (changes, receipt) = notifications.poll(
        user(1),
        station(1),
        Poll {
            connection: None,
            received: Some(Receipt::random()),
            version: ClientVersion::V3,
        },
    );
    assert_eq!(changes.conversations.len(), 1);
    assert_eq!(
        told(
            &notifications,
            Poll {
                connection: None,
                received: Some(lost),
                version: ClientVersion::V3,
            }
        ),
        1
    );
    assert_eq!(
        told(
            &notifications,
            Poll {
                connection: None,
                received: Some(receipt),
                version: ClientVersion::V3,
            }
        ),
        1
    );
}

#[test]
fn fetching_a_polled_change_acknowledges_it() {
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
    // Fetched before the change was announced, so perhaps without it.
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
fn a_fetch_that_began_before_a_poll_does_not_acknowledge_its_answer() {
    let notifications = polled();
    notifications.announce(&[changed(7)]);
    let (_, before) = notifications.poll(user(1), station(1), SILENT);
    // A download begins here and ends after the next poll, which names a newer change.
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
