//! Users with a socket are available.

use std::time::Duration;

use serde_json::json;

use crate::world::{Socket, World, eventually};

#[tokio::test]
async fn an_open_socket_makes_a_user_available_and_closing_it_offline_after_a_while() {
    let world =
        World::with(|settings| settings.timings.offline_after = Duration::from_millis(100)).await;
    let (ann, ben) = world.friends().await;
    let mut bens = Socket::of(&ben, 3).await;
    let anns = Socket::of(&ann, 3).await;
    assert_eq!(
        bens.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    assert_eq!(ben.friend_is().await, "available");
    // Dropped without a close frame.
    drop(anns);
    assert_eq!(
        bens.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    assert_eq!(ben.friend_is().await, "offline");
    world.end().await;
}

#[tokio::test]
async fn a_chosen_availability_outlasts_a_socket() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.sets_availability("userbusy").await.ok();
    let _socket = Socket::of(&ann, 3).await;
    eventually("the socket to be written down", async || {
        world.count("listeners").await == 1
    })
    .await;
    assert_eq!(ben.friend_is().await, "busy");
    world.end().await;
}

#[tokio::test]
async fn what_was_chosen_is_restored_by_the_next_socket_and_nobody_invisible_is_seen() {
    let world =
        World::with(|settings| settings.timings.offline_after = Duration::from_millis(100)).await;
    let (ann, ben) = world.friends().await;
    let mut bens = Socket::of(&ben, 3).await;
    let chosen = async || {
        let list = ann.asks_as(4, "chatfriends", json!({ "action": "list" }));
        list.await.ok()["chosen"].clone()
    };
    assert_eq!(chosen().await, "available");
    let comes_and_goes = async |shown: &str| {
        let socket = Socket::of(&ann, 4).await;
        eventually("the socket to be written down", async || {
            world.count("listeners").await == 2
        })
        .await;
        assert_eq!(ben.friend_is().await, shown);
        drop(socket);
        eventually("its end to be written down", async || {
            world.count("listeners").await == 1
        })
        .await;
        assert_eq!(ben.friend_is().await, "offline");
    };
    for (action, kept, shown) in [
        ("userbusy", "busy", "busy"),
        ("useraway", "away", "away"),
        // Says that they are leaving, and chooses nothing.
        ("useroffline", "away", "away"),
        ("useravailable", "available", "available"),
    ] {
        ann.sets_availability(action).await.ok();
        assert_eq!(chosen().await, kept);
        comes_and_goes(shown).await;
        for change in ["shown", "offline"] {
            let heard = bens.hears().await;
            assert_eq!(
                heard["friendavailabilitesof"],
                json!([ann.user]),
                "{action}: {change}"
            );
        }
    }
    ann.sets_availability("userinvisible").await.ok();
    assert_eq!(chosen().await, "invisible");
    comes_and_goes("offline").await;
    comes_and_goes("offline").await;
    bens.hears_nothing().await;
    world.end().await;
}

#[tokio::test]
async fn the_other_devices_of_a_user_are_notified_of_another_choice() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.blocks(&ben).await.ok();
    let mut phone = Socket::of(&ann.second_device().await, 4).await;
    eventually("the socket to be written down", async || {
        world.count("listeners").await == 1
    })
    .await;
    // Not shown to anyone, as she was offline to all friends before.
    for action in ["userinvisible", "userbusy", "useravailable"] {
        ann.sets_availability(action).await.ok();
        let heard = phone.hears().await;
        assert_eq!(
            heard["friendavailabilitesof"],
            json!([ann.user]),
            "{action}"
        );
        // Neither the same once more, nor what chooses nothing.
        ann.sets_availability(action).await.ok();
        ann.sets_availability("useroffline").await.ok();
        phone.hears_nothing().await;
    }
    world.end().await;
}

#[tokio::test]
async fn a_blocked_friend_does_not_see_the_user_come_online() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.blocks(&ben).await.ok();
    let mut bens = Socket::of(&ben, 3).await;
    let _anns = Socket::of(&ann, 3).await;
    eventually("both sockets to be written down", async || {
        world.count("listeners").await == 2
    })
    .await;
    bens.hears_nothing().await;
    assert_eq!(ben.friend_is().await, "offline");
    world.end().await;
}
