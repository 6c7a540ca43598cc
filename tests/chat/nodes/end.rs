//! Nodes that end, restart, or have a different clock.

use std::{
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use parlance::settings::Database;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{Nats, at, end, two_nodes};
use crate::{
    cli::parlance,
    embedded::Server,
    world::{Person, Socket, World, database, eventually, settings},
};

#[tokio::test]
async fn after_a_restart_the_first_frame_names_the_caller() {
    let options = database().await;
    let mut settings = settings();
    settings.database = Database::Given(Box::new(options.clone()));
    let before = World::start(settings.clone(), options.clone()).await;
    let (ann, ben, conversation) = before.conversation().await;
    let mut socket = Socket::of(&ben, 4).await;
    before.stop().await;
    socket.ends().await;
    let after = World::start(settings, options).await;
    let ben = Person {
        world: after.clone(),
        ..ben
    };
    Person {
        world: after.clone(),
        ..ann
    }
    .adds(&conversation, "while Ben was away")
    .await;
    // The same station, which the node does not know since its restart.
    let mut socket = Socket::of(&ben, 4).await;
    socket.hears_nothing().await;
    after.end().await;
}

#[tokio::test]
async fn a_node_that_stops_closes_its_sockets_in_turn_and_the_other_one_takes_them_meanwhile() {
    let nodes = two_nodes(|_| ()).await;
    let (closed, mut moves) = (Arc::new(AtomicUsize::new(0)), vec![]);
    for n in 0..10 {
        let first = nodes[0].person(&format!("Ann{n}")).await;
        for device in 0..10 {
            let person = if device == 0 {
                first.clone()
            } else {
                first.second_device().await
            };
            let mut socket = Socket::of(&person, 4).await;
            let (closed, there) = (closed.clone(), nodes[1].clone());
            moves.push(tokio::spawn(async move {
                assert_eq!(socket.ends().await, CloseCode::Away);
                closed.fetch_add(1, Ordering::SeqCst);
                let person = Person {
                    world: there,
                    ..person
                };
                let socket = Socket::of(&person, 4).await;
                (socket, closed.load(Ordering::SeqCst))
            }));
        }
    }
    nodes[0].stop().await;
    let mut first_moved = usize::MAX;
    for moved in moves {
        let (_, closed_before) = moved.await.unwrap();
        first_moved = first_moved.min(closed_before);
    }
    assert!(
        first_moved < 100,
        "all were closed before one was open again"
    );
    nodes[1].end().await;
}

#[tokio::test]
async fn a_user_is_available_for_as_long_as_any_node_holds_a_socket() {
    let mut nats = Nats::new();
    nats.start();
    let nodes = two_nodes(|settings| {
        settings.nats_url = vec![nats.url().parse().unwrap()];
        settings.timings.offline_after = Duration::from_millis(100);
    })
    .await;
    let (ann, ben) = nodes[0].friends().await;
    let here = Socket::of(&ann, 3).await;
    let there = Socket::of(&at(&nodes[1], &ann).await, 3).await;
    ben.sees_friend("available").await;
    let of_both = async || nodes[0].count("listeners").await == 2;
    eventually("both to have written it down", of_both).await;
    drop(here);
    eventually("the one to have written that it ended", async || {
        nodes[0].count("listeners").await == 1
    })
    .await;
    assert_eq!(ben.friend_is().await, "available");
    drop(there);
    ben.sees_friend("offline").await;
    end(nodes).await;
}

#[tokio::test]
async fn a_node_whose_clock_is_ahead_takes_no_other_one_for_ended() {
    // The library that faketime preloads into a program; a program started by faketime itself would
    // get no signals.
    let Ok(output) = Command::new("faketime")
        .args(["-f", "+0", "printenv", "LD_PRELOAD"])
        .output()
    else {
        eprintln!("SKIPPED: faketime is not installed, so no node's clock can be wrong");
        return;
    };
    let library = String::from_utf8(output.stdout).unwrap();
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let _socket = Socket::of(&ann, 4).await;
    ben.sees_friend("available").await;
    for wrong in ["+1h", "-1h"] {
        let mut command = parlance(world.store.options());
        command
            .env("LD_PRELOAD", library.trim())
            .env("FAKETIME", wrong)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        let other = Server::start_as(
            command
                .env("LISTEN_ADDR", "127.0.0.1:0")
                .stderr(Stdio::piped()),
        );
        let hour = other.log.lock().unwrap().get(..13).map(ToOwned::to_owned);
        assert_ne!(
            hour,
            Some(Utc::now().format("%Y-%m-%dT%H").to_string()),
            "its clock is wrong"
        );
        // Waits for a few heartbeats of both.
        let looks = async || {
            let both = "select count(*) from nodes where seen_at > $1 and ended_at is null";
            let begun: DateTime<Utc> =
                sqlx::query_scalar("select clock_timestamp() + interval '3 seconds'")
                    .fetch_one(&world.db)
                    .await
                    .unwrap();
            eventually("both to have looked", async || {
                sqlx::query_scalar::<_, i64>(both)
                    .bind(begun)
                    .fetch_one(&world.db)
                    .await
                    .unwrap()
                    == 2
            })
            .await;
        };
        looks().await;
        let answer = world.sends("GET", "/readyz").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(
            (
                world.count("listeners").await,
                ben.friend_is().await.as_str()
            ),
            (1, "available"),
            "{wrong}"
        );
        other.stop();
    }
    world.end().await;
}
