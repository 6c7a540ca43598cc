//! Presence: users with a socket, or with one a moment ago, are online, whatever fails meanwhile.

use std::time::Duration;

use chrono::TimeDelta;
use parlance::settings::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    nodes::{at, end, two_nodes},
    proxy::behind_a_proxy,
    world::{Person, Socket, World, address, eventually, now},
};

const HOUR: Duration = Duration::from_hours(1);

/// Settings with frequent heartbeats, and with an hour without a socket until a user is offline.
/// Clients' clocks may be hours behind, as the server's is advanced.
fn soon(settings: &mut Settings) {
    settings.timings.heartbeat = Duration::from_millis(200);
    settings.timings.offline_after = HOUR;
    settings.signature_window = TimeDelta::days(1);
}

#[tokio::test]
async fn the_offline_delay_counts_from_the_last_disconnect() {
    let world = World::with(soon).await;
    let (ann, ben) = world.friends().await;
    Socket::of(&ann, 3).await.closes().await;
    world.clock.advance(HOUR / 2);
    Socket::open(&ann, 3).await.closes().await;
    // More than an hour after the first disconnect, and less after the second.
    world.clock.advance(HOUR / 4 * 3);
    world.heartbeats(3).await;
    assert_eq!(ben.friend_is().await, "available");
    world.clock.advance(HOUR / 2);
    ben.sees_friend("offline").await;
    world.end().await;
}

#[tokio::test]
async fn a_failed_write_of_offline_users_is_made_up_for() {
    let world = World::with(|settings| {
        settings.timings.offline_after = Duration::from_millis(50);
        // No heartbeat makes up for it.
        settings.timings.heartbeat = HOUR;
    })
    .await;
    let (ann, ben) = world.friends().await;
    let socket = Socket::of(&ann, 3).await;
    ben.sees_friend("available").await;
    // A sequence's number is not taken back if the statement that took it fails.
    world
        .sql(
            "create sequence tries;
            create function refuse() returns trigger language plpgsql as
            $$ begin perform nextval('tries'); raise exception 'not now'; end $$;
            create trigger refuse before delete on listeners for each row execute function refuse()",
        )
        .await;
    drop(socket);
    eventually("a try", async || {
        world.count("tries where is_called").await == 1
    })
    .await;
    assert_eq!(ben.friend_is().await, "available");
    world.sql("drop function refuse cascade").await;
    ben.sees_friend("offline").await;
    world.end().await;
}

#[tokio::test]
async fn lost_rows_of_online_users_are_written_again() {
    let world = World::with(soon).await;
    let (ann, ben) = world.friends().await;
    let socket = Socket::of(&ann, 3).await;
    ben.sees_friend("available").await;
    // Like another node that took this one for ended, or a late write for a closed socket.
    world
        .sql("delete from listeners; update users set availability = 'offline'")
        .await;
    ben.sees_friend("available").await;
    // And a row too many is removed.
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
async fn a_socket_that_opens_while_the_end_of_another_is_written_is_online() {
    let world = World::with(|settings| {
        settings.timings.offline_after = Duration::from_millis(20);
        // Nothing is corrected here.
        settings.timings.heartbeat = HOUR;
    })
    .await;
    let (ann, ben) = world.friends().await;
    let row = async || -> Option<String> {
        sqlx::query_scalar("select xmin::text from listeners")
            .fetch_optional(&world.db)
            .await
            .unwrap()
    };
    for _ in 0..5 {
        let socket = Socket::open(&ann, 3).await;
        eventually("the socket to be written down", async || {
            row().await.is_some()
        })
        .await;
        let mut hold = world.db.begin().await.unwrap();
        sqlx::query("select from users for no key update")
            .execute(&mut *hold)
            .await
            .unwrap();
        drop(socket);
        world.blocked_process().await;
        // After the number of sockets was written, which waits for nobody.
        let before = row().await;
        let socket = Socket::open(&ann, 3).await;
        hold.rollback().await.unwrap();
        eventually("what was on its way, and what came after it", async || {
            row().await.is_some_and(|row| Some(row) != before)
        })
        .await;
        ben.sees_friend("available").await;
        drop(socket);
        eventually("the end", async || row().await.is_none()).await;
    }
    world.end().await;
}

/// How many sockets the database says that there are, on all nodes.
async fn counted(world: &World, person: &Person) -> Option<i64> {
    sqlx::query_scalar("select sum(sockets) from listeners where user_id = $1::text::uuid")
        .bind(&person.user)
        .fetch_one(&world.db)
        .await
        .unwrap()
}

#[tokio::test]
async fn sockets_are_counted_on_every_node() {
    let nodes = two_nodes(soon).await;
    let (ann, ben) = nodes[0].friends().await;
    let is = async |count: Option<i64>| {
        eventually(&format!("{count:?} sockets"), async || {
            counted(&nodes[0], &ann).await == count
        })
        .await;
    };
    let first = Socket::of(&ann, 4).await;
    is(Some(1)).await;
    let second = Socket::of(&ann.second_device().await, 4).await;
    is(Some(2)).await;
    let elsewhere = at(&nodes[1], &ann).await;
    let third = Socket::of(&elsewhere.second_device().await, 4).await;
    is(Some(3)).await;
    // One that says that they are offline stays so, when another socket ends.
    ann.asks(
        "chatavailability",
        serde_json::json!({ "action": "useroffline" }),
    )
    .await
    .ok();
    ben.sees_friend("offline").await;
    second.closes().await;
    is(Some(2)).await;
    assert_eq!(ben.friend_is().await, "offline");
    // What the database has wrong is corrected, and so is what a node of the release before wrote.
    nodes[0].sql("update listeners set sockets = 7").await;
    is(Some(2)).await;
    // Who had their last one a moment ago is online, without any.
    first.closes().await;
    third.closes().await;
    is(Some(0)).await;
    for node in &nodes {
        node.clock.advance(HOUR * 2);
    }
    is(None).await;
    end(nodes).await;
}

#[tokio::test]
async fn clients_of_a_node_that_ended_get_a_while_to_come_back_to_another() {
    let nodes = two_nodes(soon).await;
    let (ann, ben) = nodes[0].friends().await;
    let seen_by = at(&nodes[1], &ben).await;
    let socket = Socket::of(&ann, 3).await;
    ben.sees_friend("available").await;
    // The other node has run for a while.
    nodes[1].clock.advance(HOUR * 2);
    nodes[0].stop().await;
    drop(socket);
    nodes[1].heartbeats(3).await;
    assert_eq!(seen_by.friend_is().await, "available");
    let socket = Socket::open(&at(&nodes[1], &ann).await, 3).await;
    eventually("both nodes' rows", async || {
        nodes[1].count("listeners").await == 2
    })
    .await;
    nodes[1]
        .sql("update nodes set ended_at = ended_at - interval '2 hours' where ended_at is not null")
        .await;
    nodes[1].heartbeats(3).await;
    assert_eq!(seen_by.friend_is().await, "available");
    socket.closes().await;
    nodes[1].clock.advance(HOUR * 2);
    seen_by.sees_friend("offline").await;
    eventually("what is left of the node to go", async || {
        nodes[1].count("nodes").await == 1
    })
    .await;
    end(nodes).await;
}

#[tokio::test]
async fn a_user_disabled_while_the_channel_is_away_loses_the_socket_all_the_same() {
    let (world, proxy) = behind_a_proxy(soon).await;
    let (ann, ben) = world.friends().await;
    let mut socket = Socket::of(&ann, 4).await;
    let mut bens = Socket::of(&ben, 4).await;
    proxy.cut();
    world.sets_disabled(&ann, true).await;
    proxy.mend();
    assert_eq!(
        socket.ends().await,
        tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode::Library(4403)
    );
    // Nobody else is notified.
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
    let url = address(&ann, 3, &now());
    let path = url.split_once("/ws").unwrap().1;
    let handshake = format!(
        "GET /ws{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    silent.write_all(handshake.as_bytes()).await.unwrap();
    // It reads everything and sends nothing, so the connection ends.
    let mut heard = vec![];
    tokio::time::timeout(Duration::from_secs(20), silent.read_to_end(&mut heard))
        .await
        .expect("an end")
        .unwrap();
    assert!(heard.starts_with(b"HTTP/1.1 101"));
    world.clock.advance(HOUR);
    ben.sees_friend("offline").await;
    world.end().await;
}
