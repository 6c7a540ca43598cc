//! Who is online: whoever has a socket, or had one a moment ago, whatever fails meanwhile.

use std::time::Duration;

use parlance::{settings::Settings, store::user::set_disabled};
use parlance_wire::{id::UserId, time::Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep_until},
};

use crate::{
    nodes::{at, end, two_nodes},
    proxy::behind_a_proxy,
    world::{Socket, World, address, eventually, now},
};

/// Settings with which things happen sooner.
fn soon(settings: &mut Settings) {
    settings.timings.heartbeat = Duration::from_millis(200);
    settings.timings.offline_after = Duration::from_secs(3);
}

#[tokio::test]
async fn whoever_comes_back_and_goes_again_is_offline_the_whole_time_after_they_went_last() {
    let world = World::with(soon).await;
    let (ann, ben) = world.friends().await;
    drop(Socket::of(&ann, 3).await);
    let begun = Instant::now();
    sleep_until(begun + Duration::from_millis(2500)).await;
    drop(Socket::open(&ann, 3).await);
    // Three seconds after the first going, one and a half after the second.
    sleep_until(begun + Duration::from_secs(4)).await;
    assert_eq!(ben.friend_is().await, "available");
    ben.sees_friend("offline").await;
    assert!(begun.elapsed() >= Duration::from_millis(5500));
    world.end().await;
}

#[tokio::test]
async fn a_going_that_could_not_be_written_is_made_up_for() {
    let (world, proxy) = behind_a_proxy(soon).await;
    let (ann, ben) = world.friends().await;
    let socket = Socket::of(&ann, 3).await;
    ben.sees_friend("available").await;
    proxy.cut();
    drop(socket);
    // The database is away when it should be told.
    tokio::time::sleep(Duration::from_secs(4)).await;
    proxy.mend();
    ben.sees_friend("offline").await;
    world.end().await;
}

#[tokio::test]
async fn what_the_database_lost_of_who_is_online_is_written_again() {
    let world = World::with(soon).await;
    let (ann, ben) = world.friends().await;
    let socket = Socket::of(&ann, 3).await;
    ben.sees_friend("available").await;
    // As another node does that took this one for ended, or a late write of a socket that was closed.
    world
        .sql("delete from listeners; update users set availability = 'offline'")
        .await;
    ben.sees_friend("available").await;
    // And what it has too much goes.
    let stranger = world.person("Cleo").await;
    world
        .sql(&format!(
            "insert into listeners select '{}', node_id from nodes",
            stranger.user
        ))
        .await;
    eventually("the next heartbeat", async || {
        world.count("listeners").await == 1
    })
    .await;
    drop(socket);
    world.end().await;
}

#[tokio::test]
async fn sockets_that_open_while_others_close_are_online() {
    let world = World::with(|settings| {
        soon(settings);
        settings.timings.offline_after = Duration::from_millis(20);
        // Nothing is made up for here.
        settings.timings.heartbeat = Duration::from_mins(10);
        settings.workers = 2;
    })
    .await;
    let (ann, ben) = world.friends().await;
    for round in 0..40 {
        let socket = Socket::open(&ann, 3).await;
        drop(socket);
        tokio::time::sleep(Duration::from_millis(15 + round % 10)).await;
        let socket = Socket::open(&ann, 3).await;
        // What is written about the one that was closed is waited for.
        tokio::time::sleep(Duration::from_millis(30)).await;
        ben.sees_friend("available").await;
        assert_eq!(world.count("listeners").await, 1, "round {round}");
        drop(socket);
    }
    world.end().await;
}

#[tokio::test]
async fn clients_of_a_node_that_ended_get_a_while_to_come_back_to_another() {
    let nodes = two_nodes(soon).await;
    let (ann, ben) = nodes[0].friends().await;
    let seen_by = at(&nodes[1], &ben).await;
    let socket = Socket::of(&ann, 3).await;
    eventually("the other node to have run for a while", async || {
        nodes[1].count("nodes").await == 2
    })
    .await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    nodes[0].stop().await;
    drop(socket);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(seen_by.friend_is().await, "available");
    let socket = Socket::of(&at(&nodes[1], &ann).await, 3).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(seen_by.friend_is().await, "available");
    drop(socket);
    seen_by.sees_friend("offline").await;
    eventually("what is left of the node to go", async || {
        nodes[1].count("nodes").await == 1
    })
    .await;
    end(nodes).await;
}

#[tokio::test]
async fn one_who_is_barred_while_the_channel_is_away_loses_the_socket_all_the_same() {
    let (world, proxy) = behind_a_proxy(soon).await;
    let (ann, ben) = world.friends().await;
    let mut socket = Socket::of(&ann, 4).await;
    let mut bens = Socket::of(&ben, 4).await;
    proxy.cut();
    set_disabled(
        &world.store,
        UserId::parse(&ann.user).unwrap(),
        Some(Timestamp::now()),
    )
    .await
    .unwrap();
    proxy.mend();
    assert_eq!(
        socket.ends().await,
        tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Policy
    );
    // Nobody else does.
    bens.drain().await;
    world.end().await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_dropped() {
    let world = World::with(|settings| {
        soon(settings);
        settings.timings.ping = Duration::from_millis(200);
        settings.timings.peer_timeout = Duration::from_secs(1);
    })
    .await;
    let (ann, ben) = world.friends().await;
    let mut silent = world.connection().await;
    let url = address(&ann, 4, &now());
    let path = url.split_once("/ws").unwrap().1;
    let handshake = format!(
        "GET /ws{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    silent.write_all(handshake.as_bytes()).await.unwrap();
    // It reads all that comes, and says nothing: the connection ends.
    let mut heard = vec![];
    tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut heard))
        .await
        .expect("an end")
        .unwrap();
    assert!(heard.starts_with(b"HTTP/1.1 101"));
    ben.sees_friend("offline").await;
    world.end().await;
}
