//! Availability, and who is notified of it.

use std::time::Duration;

use chrono::TimeDelta;
use parlance::store::presence;
use parlance_wire::id::UserId;
use serde_json::json;
use uuid::Uuid;

use crate::world::{Changes, Person, Socket, World, eventually};

async fn says(person: &Person, action: &str) {
    person
        .asks("chatavailability", json!({ "action": action }))
        .await
        .ok();
}

#[tokio::test]
async fn friends_see_the_availability_and_are_notified_of_changes() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    ben.listens().await;
    cleo.listens().await;
    assert_eq!(ben.friend_is().await, "offline");
    for (action, state) in [
        ("useravailable", "available"),
        ("useraway", "away"),
        ("userbusy", "busy"),
        ("useroffline", "offline"),
    ] {
        says(&ann, action).await;
        assert_eq!(ben.friend_is().await, state);
        assert_eq!(
            ben.hears().await,
            Changes {
                friends: vec![ann.user.clone()],
                ..Changes::default()
            }
        );
        // Repeating it notifies nobody.
        says(&ann, action).await;
        assert_eq!(ben.hears().await, Changes::default());
    }
    assert_eq!(cleo.hears().await, Changes::default());
    ann.sets_availability("userasleep")
        .await
        .refused(404, "unknown_action");
    world.end().await;
}

#[tokio::test]
async fn who_has_no_socket_is_offline_a_while_after_the_last_call_or_poll() {
    let world = World::with(|settings| {
        settings.timings.heartbeat = Duration::from_millis(200);
        // The server's clock is advanced.
        settings.signature_window = TimeDelta::days(1);
    })
    .await;
    let (ann, ben) = world.friends().await;
    // Nobody goes offline soon after a start.
    world.clock.advance(Duration::from_hours(1));
    let time_passes = async |minutes: u32| {
        world
            .sql(&format!(
                "update users set called_at = called_at - interval '{minutes} minutes' where user_id = '{}'",
                ann.user
            ))
            .await;
    };
    says(&ann, "userbusy").await;
    ben.listens().await;
    world.heartbeats(3).await;
    // Four minutes later, she polls.
    time_passes(4).await;
    ann.listens().await;
    eventually("the poll to be recorded", async || {
        world
            .count("users where availability = 'busy' and called_at > now() - interval '1 minute'")
            .await
            == 1
    })
    .await;
    time_passes(4).await;
    world.heartbeats(3).await;
    assert_eq!(ben.friend_is().await, "busy");
    // Two more, and it is six minutes since. (A heartbeat that failed meanwhile would begin the time anew.)
    time_passes(2).await;
    world.clock.advance(Duration::from_hours(1));
    ben.sees_friend("offline").await;
    eventually("Ben to be notified", async || {
        ben.hears().await.friends == [ann.user.clone()]
    })
    .await;
    // Calling alone makes nobody available.
    ann.hears().await;
    world.heartbeats(3).await;
    assert_eq!(ben.friend_is().await, "offline");
    says(&ann, "useravailable").await;
    world.heartbeats(3).await;
    assert_eq!(ben.friend_is().await, "available");
    // With a socket, nobody needs to call.
    let socket = Socket::open(&ann, 3).await;
    eventually("the socket to be written down", async || {
        world.count("listeners").await == 1
    })
    .await;
    time_passes(60).await;
    world.heartbeats(3).await;
    assert_eq!(ben.friend_is().await, "available");
    drop(socket);
    world.end().await;
}

#[tokio::test]
async fn a_blocked_user_sees_offline_and_is_not_notified() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    says(&ann, "useravailable").await;
    ann.blocks(&ben).await.ok();
    ben.listens().await;
    assert_eq!(ben.friend_is().await, "offline");
    says(&ann, "userbusy").await;
    assert_eq!(ben.hears().await, Changes::default());
    // In the other direction nothing is hidden.
    says(&ben, "useraway").await;
    assert_eq!(ann.friend_is().await, "away");
    ann.unblocks(&ben).await.ok();
    assert_eq!(ben.friend_is().await, "busy");
    world.end().await;
}

#[tokio::test]
async fn only_users_with_sockets_on_an_ended_node_go_offline() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let [anns, bens] = [&ann, &ben].map(|person| UserId::parse(&person.user).unwrap());
    let (gone, lives, grace) = (Uuid::new_v4(), Uuid::new_v4(), Duration::from_secs(30));
    for node in [gone, lives] {
        presence::heartbeat(&world.store, node, Duration::from_hours(1))
            .await
            .unwrap();
    }
    // Ann has a socket on the first node, Ben on both.
    for (node, user) in [(gone, anns), (gone, bens), (lives, bens)] {
        presence::socket_opened(&world.store, node, &[(user, 1)])
            .await
            .unwrap();
    }
    assert!(
        presence::expire(&world.store, grace, 500)
            .await
            .unwrap()
            .is_empty()
    );
    // A node that reported its end, or was not heard any more, keeps its users online for a while,
    // so that clients may reconnect.
    let ended = async |column: &str, seconds: u32| {
        world.sql(&format!("update nodes set {column} = now() - interval '{seconds} seconds' where node_id = '{gone}'")).await;
    };
    ended("ended_at", 25).await;
    assert!(
        presence::expire(&world.store, grace, 500)
            .await
            .unwrap()
            .is_empty()
    );
    world.sql("update nodes set ended_at = null").await;
    ended("alive_until", 25).await;
    assert!(
        presence::expire(&world.store, grace, 500)
            .await
            .unwrap()
            .is_empty()
    );
    ended("alive_until", 31).await;
    let seen = presence::expire(&world.store, grace, 500).await.unwrap();
    assert_eq!(
        seen.iter()
            .map(|seen| (seen.user_id, &seen.friends[..]))
            .collect::<Vec<_>>(),
        [(anns, &[bens][..])]
    );
    assert_eq!(
        (
            ben.friend_is().await.as_str(),
            ann.friend_is().await.as_str()
        ),
        ("offline", "available")
    );
    assert!(
        presence::expire(&world.store, grace, 500)
            .await
            .unwrap()
            .is_empty()
    );
    // A user who closes a socket on one node and has another one stays online; after the last one
    // they are offline.
    presence::socket_opened(&world.store, gone, &[(bens, 1)])
        .await
        .unwrap();
    assert!(
        presence::socket_closed(&world.store, gone, &[bens])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        presence::socket_closed(&world.store, lives, &[bens])
            .await
            .unwrap()
            .len()
            == 1
    );
    assert_eq!(ann.friend_is().await, "offline");
    world.end().await;
}

#[tokio::test]
async fn who_says_offline_stays_so_until_they_open_a_socket_and_have_none_on_any_node() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let users = [UserId::parse(&ann.user).unwrap()];
    let [here, there] = [Uuid::new_v4(), Uuid::new_v4()];
    let opens = async |node, sockets| {
        presence::socket_opened(&world.store, node, &[(users[0], sockets)])
            .await
            .unwrap()
            .len()
    };
    assert_eq!(opens(here, 1).await, 1);
    says(&ann, "useroffline").await;
    // Another tab of hers, which the balancer leads to another node.
    assert_eq!(opens(there, 1).await, 0);
    assert_eq!(ben.friend_is().await, "offline");
    // A page that is loaded again: the node that had its socket knows already that it has none.
    for (node, sockets) in [(here, 0), (there, 0)] {
        presence::count_sockets(&world.store, node, &[(users[0], sockets)])
            .await
            .unwrap();
    }
    assert_eq!(opens(there, 1).await, 1);
    assert_eq!(ben.friend_is().await, "available");
    world.end().await;
}

#[tokio::test]
async fn two_nodes_that_write_at_once_do_not_overlook_each_other() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let users = [UserId::parse(&ann.user).unwrap()];
    let sockets = [(users[0], 1)];
    let [here, there] = [Uuid::new_v4(), Uuid::new_v4()];
    for round in 0..100 {
        presence::socket_opened(&world.store, here, &sockets)
            .await
            .unwrap();
        // One socket closes while another opens, and then both close.
        let (left, arrived) = tokio::join!(
            presence::socket_closed(&world.store, here, &users),
            presence::socket_opened(&world.store, there, &sockets)
        );
        assert_eq!(left.unwrap().len(), arrived.unwrap().len(), "round {round}");
        assert_eq!(ben.friend_is().await, "available", "round {round}");
        presence::socket_opened(&world.store, here, &sockets)
            .await
            .unwrap();
        let (one, other) = tokio::join!(
            presence::socket_closed(&world.store, here, &users),
            presence::socket_closed(&world.store, there, &users)
        );
        assert_eq!(
            one.unwrap().len() + other.unwrap().len(),
            1,
            "round {round}"
        );
        assert_eq!(ben.friend_is().await, "offline", "round {round}");
    }
    world.end().await;
}
