//! Tests which new rows are pushed whole to a socket.

use super::*;

#[test]
fn rows_are_told_in_the_order_of_their_commits_or_not_at_all() {
    // The order of announcements, the numbers in one frame taken at the end, and the numbers in
    // frames taken after each announcement.
    type Case = (&'static [i64], &'static [i64], &'static [&'static [i64]]);
    let cases: [Case; 4] = [
        (&[1, 2, 3], &[1, 2, 3], &[&[1], &[2], &[3]]),
        (&[1, 3, 2, 4], &[], &[&[1], &[], &[], &[4]]),
        (&[2, 1, 3], &[], &[&[], &[], &[3]]),
        (&[1, 4, 2, 3, 5], &[], &[&[1], &[], &[], &[], &[5]]),
    ];
    for (order, at_once, one_by_one) in cases {
        let notifications = Arc::new(Notifications::default());
        let (subscription, _) = notifications
            .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
            .unwrap();
        subscription.feed().take();
        for seq in order {
            notifications.announce(&[written(7, *seq, 0)]);
        }
        let frame = subscription.feed().take();
        assert_eq!(frame.conversations, [conversation(7)].into());
        assert_eq!(
            frame.rows.keys().map(|(_, seq)| *seq).collect::<Vec<_>>(),
            at_once,
            "{order:?}"
        );
        for (seq, expected) in order.iter().zip(one_by_one) {
            notifications.announce(&[written(8, *seq, 0)]);
            assert_eq!(rows(&subscription), *expected, "{order:?} at {seq}");
        }
    }
}

#[test]
fn after_rows_that_are_not_at_hand_the_next_ones_join() {
    let notifications = Arc::new(Notifications::default());
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.feed().take();
    notifications.announce(&[written(7, 1, 0)]);
    assert_eq!(rows(&subscription), [1]);
    // Rows of another node, or too many of them, are only numbered.
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
    assert!(rows(&subscription).is_empty());
    notifications.announce(&[written(7, 61, 0)]);
    assert_eq!(rows(&subscription), [61]);
    // A retry or a clear says nothing about numbers.
    notifications.announce(&[changed(7)]);
    assert!(rows(&subscription).is_empty());
    notifications.announce(&[written(7, 62, 0)]);
    assert_eq!(rows(&subscription), [62]);
    // After the first row of a new instance, a client that has the previous one must download.
    notifications.announce(&[in_instance(7, 63, 0, "BBBBBBBBBB")]);
    assert!(rows(&subscription).is_empty());
    notifications.announce(&[in_instance(7, 64, 0, "BBBBBBBBBB")]);
    assert_eq!(rows(&subscription), [64]);
}

#[test]
fn a_resync_brings_no_rows_and_keeps_the_friends_to_look_at() {
    let notifications = Arc::new(Notifications::default());
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.feed().take();
    notifications.announce(&[
        written(7, 1, 0),
        Event::FriendChanged {
            friend: user(2),
            seen_by: vec![user(1)],
        },
    ]);
    notifications.resync_all();
    // It follows rows that were dropped.
    notifications.announce(&[written(7, 2, 0)]);
    let changes = subscription.feed().take();
    assert!(
        changes.resync
            && changes.rows.is_empty()
            && changes.conversations == [conversation(7)].into()
    );
    assert_eq!(changes.friends, [user(2)].into());
    notifications.announce(&[written(7, 3, 0)]);
    assert_eq!(rows(&subscription), [3]);
}

#[test]
fn a_row_that_is_announced_after_it_was_erased_is_only_named() {
    let notifications = Arc::new(Notifications::default());
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.feed().take();
    notifications.announce(&[written(7, 1, 0)]);
    assert_eq!(rows(&subscription), [1]);
    let message = parlance_wire::id::MessageId::random();
    notifications.announce(&[Event::Erased {
        conversation: conversation(7),
        participants: vec![user(1)],
        messages: vec![message],
        last_seq: 2,
    }]);
    let frame = subscription.feed().take();
    assert_eq!(frame.erased, [(conversation(7), message)].into());
    // It was stored before, and its announcement comes late.
    notifications.announce(&[written(7, 2, 0)]);
    let frame = subscription.feed().take();
    assert!(frame.rows.is_empty() && frame.conversations.contains(&conversation(7)));
    notifications.announce(&[written(7, 3, 0)]);
    assert_eq!(rows(&subscription), [3]);
}

#[test]
fn a_v4_station_that_polls_is_told_what_was_erased_until_it_has_the_answer() {
    let notifications = polled();
    let erased = |n| Event::Erased {
        conversation: conversation(n),
        participants: vec![user(1)],
        messages: vec![parlance_wire::id::MessageId::random()],
        last_seq: 2,
    };
    let poll = |version, received| {
        notifications.poll(
            user(1),
            station(1),
            Poll {
                connection: None,
                received,
                version,
            },
        )
    };
    // An older one would not understand it.
    notifications.announce(&[erased(7)]);
    let (changes, receipt) = poll(ClientVersion::V3, None);
    assert!(changes.erased.is_empty() && changes.conversations.len() == 1);
    poll(ClientVersion::V4, Some(receipt));
    notifications.announce(&[erased(8)]);
    assert_eq!(poll(ClientVersion::V4, None).0.erased.len(), 1);
    let (again, receipt) = poll(ClientVersion::V4, None);
    assert_eq!(again.erased.len(), 1);
    assert!(poll(ClientVersion::V4, Some(receipt)).0.is_empty());
}

#[test]
fn a_conversation_that_was_forgotten_is_announced_by_id_once() {
    let row = |seq| NewRows {
        first: seq,
        last: seq,
        rows: vec![],
    };
    let mut heads = HashMap::new();
    assert!(advance(&mut heads, conversation(0), &row(1)));
    for n in 1..MAX_CONVERSATIONS {
        advance(&mut heads, conversation(n), &row(1));
    }
    assert!(advance(&mut heads, conversation(0), &row(2)));
    // One more than are remembered.
    advance(&mut heads, conversation(MAX_CONVERSATIONS), &row(1));
    assert!(!advance(&mut heads, conversation(0), &row(3)));
    assert!(advance(&mut heads, conversation(0), &row(4)));
}

#[test]
fn users_beyond_the_maximum_resync_at_each_poll_and_get_no_socket() {
    let notifications = Arc::new(Notifications::default());
    let user = |n: usize| UserId::parse(&format!("{n:032x}")).unwrap();
    for n in 0..MAX_USERS {
        notifications.poll(user(n), station(1), SILENT);
    }
    for _ in 0..2 {
        let (changes, _) = notifications.poll(user(MAX_USERS), station(1), SILENT);
        assert!(changes.resync);
    }
    let subscribe = |n| notifications.subscribe(user(n), station(2), ClientVersion::V4, LIMITS);
    assert!(subscribe(MAX_USERS).is_err());
    // Those who are known go on.
    let (changes, _) = notifications.poll(user(0), station(1), SILENT);
    assert!(changes.resync);
    let acknowledged = Poll {
        received: Some(notifications.in_flight(user(0), station(1)).unwrap()),
        ..SILENT
    };
    assert!(
        !notifications
            .poll(user(0), station(1), acknowledged)
            .0
            .resync
    );
    assert!(subscribe(0).is_ok());
}
