//! Tests which notifications a station with a socket gets.

use super::*;

#[test]
fn a_socket_gets_the_unacknowledged_answer_of_a_poll() {
    let notifications = polled();
    notifications.announce(&[changed(7)]);
    assert_eq!(
        notifications
            .poll(user(1), station(1), on(1))
            .0
            .conversations
            .len(),
        1
    );
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    assert_eq!(
        subscription.feed().take().conversations,
        [conversation(7)].into()
    );
}

#[test]
fn sockets_are_counted_for_each_user_and_in_all() {
    let notifications = Arc::new(Notifications::default());
    let subscribe = |u, s| notifications.subscribe(user(u), station(s), ClientVersion::V4, LIMITS);
    let (first, is_first) = subscribe(1, 1).unwrap();
    let (second, is_first_again) = subscribe(1, 2).unwrap();
    assert!(is_first && !is_first_again);
    assert!(subscribe(1, 3).is_err());
    let _other = subscribe(2, 4).unwrap();
    assert!(subscribe(3, 5).is_err());
    // Another socket of the station replaces the first one, which ends without a trace.
    let (_again, _) = subscribe(1, 2).unwrap();
    drop(second);
    assert!(notifications.has_socket(user(1)) && subscribe(3, 5).is_err());
    assert_eq!(notifications.sockets(), [(user(1), 2), (user(2), 1)].into());
    drop(first);
    assert!(subscribe(3, 5).is_ok());
}

#[tokio::test]
async fn a_socket_that_was_replaced_ends_and_takes_nothing_any_more() {
    let notifications = Arc::new(Notifications::default());
    let (old, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V3, LIMITS)
        .unwrap();
    let (new, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V3, LIMITS)
        .unwrap();
    notifications.announce(&[changed(7)]);
    assert!(old.feed().take().is_empty());
    old.ended().await;
    assert_eq!(new.feed().take().conversations.len(), 1);
}

#[test]
fn unacknowledged_pushes_cause_a_resync_when_the_socket_ends() {
    let notifications = Arc::new(Notifications::default());
    for (acks, expected) in [(true, false), (false, true)] {
        let (subscription, _) = notifications
            .subscribe(user(1), station(1), ClientVersion::V3, LIMITS)
            .unwrap();
        subscription.feed().take();
        notifications.announce(&[changed(7)]);
        assert_eq!(subscription.feed().take().conversations.len(), 1);
        if acks {
            subscription.ack();
        }
        drop(subscription);
        assert_eq!(take(&notifications, 1, 1).resync, expected);
    }
}

#[test]
fn changes_from_before_a_socket_are_pushed_by_id_only() {
    let notifications = polled();
    notifications.announce(&[changed(7)]);
    for seq in [1, 3] {
        let (subscription, _) = notifications
            .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
            .unwrap();
        notifications.announce(&[written(7, seq, 0)]);
        let changes = subscription.feed().take();
        assert!(changes.conversations.contains(&conversation(7)) && changes.rows.is_empty());
        notifications.announce(&[written(7, seq + 1, 0)]);
        drop(subscription);
    }
}

#[tokio::test]
async fn a_resync_wakes_every_socket_and_drops_what_is_polled_for() {
    let notifications = polled();
    let (subscription, _) = notifications
        .subscribe(user(2), station(2), ClientVersion::V3, LIMITS)
        .unwrap();
    subscription.feed().take();
    assert!(poll!(changed_in(&subscription)).is_pending());
    notifications.resync_all();
    assert!(poll!(changed_in(&subscription)).is_ready());
    assert!(subscription.feed().take().resync);
    assert!(notifications.poll(user(1), station(1), SILENT).0.resync);
}

#[test]
fn idle_stations_are_dropped_unless_they_have_a_socket() {
    let notifications = polled();
    let (subscription, _) = notifications
        .subscribe(user(1), station(2), ClientVersion::V3, LIMITS)
        .unwrap();
    subscription.feed().take();
    let age = |s| {
        notifications
            .locked()
            .station(user(1), station(s))
            .unwrap()
            .polled_at -= IDLE;
    };
    age(1);
    age(2);
    notifications.evict_idle();
    notifications.announce(&[changed(7)]);
    assert_eq!(subscription.feed().take().conversations.len(), 1);
    assert!(notifications.poll(user(1), station(1), SILENT).0.resync);
    // A socket that has ended may be reopened.
    subscription.ack();
    drop(subscription);
    notifications.evict_idle();
    assert!(notifications.poll(user(1), station(2), SILENT).0.is_empty());
}

#[test]
fn beside_a_socket_a_poll_takes_nothing() {
    let notifications = polled();
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    subscription.feed().take();
    notifications.announce(&[changed(7)]);
    // Like a poll that was sent before the socket was opened, and whose answer is lost.
    assert_eq!(
        notifications
            .poll(user(1), station(1), on(1))
            .0
            .conversations
            .len(),
        1
    );
    assert_eq!(
        notifications
            .poll(user(1), station(1), on(1))
            .0
            .conversations
            .len(),
        1
    );
    assert_eq!(
        subscription.feed().take().conversations,
        [conversation(7)].into()
    );
}

#[test]
fn a_disconnected_user_is_not_notified_any_more() {
    let notifications = Arc::new(Notifications::default());
    let (subscription, _) = notifications
        .subscribe(user(1), station(1), ClientVersion::V4, LIMITS)
        .unwrap();
    let (other, _) = notifications
        .subscribe(user(2), station(2), ClientVersion::V4, LIMITS)
        .unwrap();
    for socket in [&subscription, &other] {
        socket.feed().take();
    }
    notifications.disconnect(user(1), station(1), End::SignedOut);
    notifications.announce(&[changed(7), Event::ListChanged { of: vec![user(2)] }]);
    assert!(subscription.feed().take().is_empty() && !other.feed().take().is_empty());
}
