//! Changes on one node are pushed by the others.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::Semaphore;

use super::{Nats, at, end, has_bus, know_each_other, soon, two_nodes, two_nodes_with_nats};
use crate::world::{Conversation, Socket, eventually};

/// Reads frames until one names the conversation or asks for a resync.
async fn hears_of(socket: &mut Socket, conversation: &Conversation) {
    loop {
        let frame = socket.hears().await;
        if frame["conversationchangedof"] == json!([conversation.id])
            || frame["conversationlistchangedof"] != json!([])
        {
            return;
        }
    }
}

#[tokio::test]
async fn changes_on_one_node_are_pushed_by_the_other() {
    let (_nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, conversation) = nodes[0].conversation().await;
    let there = at(&nodes[1], &ben).await;
    let mut socket = Socket::of(&there, 4).await;
    know_each_other(&nodes, &ben).await;
    socket.drain().await;
    for n in 0..5 {
        ann.adds(&conversation, &n.to_string()).await;
        let frame = socket.hears().await;
        assert_eq!(
            (
                &frame["conversationchangedof"],
                &frame["conversationlistchangedof"]
            ),
            (&json!([conversation.id]), &json!([]))
        );
    }
    ann.sets_availability("userbusy").await.ok();
    assert_eq!(
        socket.hears().await["friendavailabilitesof"],
        json!([ann.user])
    );
    ann.does("clear", &conversation, json!({})).await.ok();
    assert_eq!(
        socket.hears().await["conversationlistchangedof"],
        json!([ben.user])
    );
    let mut anns = Socket::open(&ann, 4).await;
    anns.hears().await;
    anns.says(&json!({ "action": "typing", "conversationid": conversation.id }).to_string())
        .await;
    loop {
        let frame = socket.hears().await;
        if frame.get("typing").is_some() {
            assert_eq!(
                frame["typing"],
                json!([{ "conversationid": conversation.id, "userid": ann.user }])
            );
            break;
        }
    }
    end(nodes).await;
}

#[tokio::test]
async fn a_node_starts_without_nats_says_so_and_recovers_by_itself() {
    let mut nats = Nats::new();
    let nodes = two_nodes(|settings| {
        soon(settings);
        settings.nats_url = vec![nats.url().parse().unwrap()];
    })
    .await;
    for node in &nodes {
        assert!(has_bus(node, "away").await);
    }
    let (ann, ben, conversation) = nodes[0].conversation().await;
    let mut socket = Socket::of(&at(&nodes[1], &ben).await, 4).await;
    // Nobody notifies the other node, but it knows that hints do not arrive.
    ann.adds(&conversation, "unheard").await;
    hears_of(&mut socket, &conversation).await;
    nats.start();
    for node in &nodes {
        eventually("the bus", async || has_bus(node, "connected").await).await;
    }
    know_each_other(&nodes, &ben).await;
    socket.drain().await;
    ann.adds(&conversation, "heard").await;
    assert_eq!(
        socket.hears().await["conversationchangedof"],
        json!([conversation.id])
    );
    end(nodes).await;
}

#[tokio::test]
async fn nats_killed_in_the_middle_of_traffic_leaves_nobody_behind() {
    let (mut nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, conversation) = nodes[0].conversation().await;
    let there = at(&nodes[1], &ben).await;
    let mut socket = Socket::of(&there, 4).await;
    // Some messages are sent before each time that NATS is killed, some while it is away, and the
    // rest afterwards.
    let permits = Arc::new(Semaphore::new(50));
    let writer = tokio::spawn({
        let (conversation, permits) = (conversation.clone(), permits.clone());
        async move {
            let mut written = vec![];
            for n in 0..150 {
                permits.acquire().await.unwrap().forget();
                written.push(ann.adds(&conversation, &n.to_string()).await);
            }
            written
        }
    });
    // A client that only acts on notifications.
    let mut held: Vec<String> = vec![];
    let reader = async {
        let mut kills = 0;
        loop {
            let frame = socket.hears().await;
            if frame["conversationchangedof"] == json!([])
                && frame["conversationlistchangedof"] == json!([])
            {
                continue;
            }
            let page = there
                .does(
                    "download",
                    &conversation,
                    json!({ "firstmessageid": held.last() }),
                )
                .await
                .ok();
            let page = page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|m| m["ID"].as_str().unwrap().to_owned());
            held.extend(page.skip(usize::from(!held.is_empty())).collect::<Vec<_>>());
            if held.len() >= 150 {
                return;
            }
            if held.len() / 40 > kills {
                kills += 1;
                nats.kill();
                permits.add_permits(40);
                for node in &nodes {
                    eventually("NATS to be missed", async || has_bus(node, "away").await).await;
                }
                nats.start();
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reader)
        .await
        .expect("the reader was told of all");
    assert_eq!(held, writer.await.unwrap());
    end(nodes).await;
}

#[tokio::test]
async fn without_nats_two_nodes_are_slow_but_miss_no_notification() {
    let nodes = two_nodes(soon).await;
    let (ann, ben, conversation) = nodes[0].conversation().await;
    let mut socket = Socket::of(&at(&nodes[1], &ben).await, 3).await;
    for n in 0..2 {
        ann.adds(&conversation, &n.to_string()).await;
        hears_of(&mut socket, &conversation).await;
    }
    assert!(has_bus(&nodes[0], "none").await);
    end(nodes).await;
}
