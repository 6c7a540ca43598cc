//! Nodes that end, and pages that were cut.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    nodes::{at, end, know_each_other, two_nodes, two_nodes_with_nats},
    world::{Changes, Conversation, Person, Socket, World, eventually, message},
};

#[tokio::test]
async fn a_node_that_ends_and_stays_away_takes_nothing_along() {
    // The other node's heartbeat is rare, so that all of this happens between two of them.
    let nodes = two_nodes(|settings| settings.timings.heartbeat = Duration::from_secs(2)).await;
    let (ann, ben, conversation) = nodes[0].conversation().await;
    let there = at(&nodes[1], &ben).await;
    there.listens().await;
    // While both nodes live without a bus, everyone is notified all the time.
    eventually("both to know each other", async || {
        there.hears().await.lists == [ben.user.clone()]
    })
    .await;
    ann.adds(&conversation, "the last word").await;
    there.hears().await;
    nodes[0].stop().await;
    // It reports its end by itself, so that nobody has to wait until it times out.
    assert_eq!(nodes[1].count("nodes where ended_at is not null").await, 1);
    let told = async || {
        let heard = there.hears().await;
        heard.lists == [ben.user.clone()] || heard.conversations == [conversation.id.clone()]
    };
    eventually("the news", told).await;
    // Then it is quiet: an ended node does not cause resyncs for ever.
    eventually("quiet", async || there.hears().await == Changes::default()).await;
    end(nodes).await;
}

#[tokio::test]
async fn a_node_that_starts_and_ends_between_two_looks_of_another_is_missed_too() {
    let long = |settings: &mut parlance::settings::Settings| {
        settings.timings.heartbeat = Duration::from_secs(3);
    };
    let here = World::with(long).await;
    let (ann, ben, conversation) = here.conversation().await;
    ben.listens().await;
    let brief = here.another_with(long).await;
    let writer = at(&brief, &ann).await;
    writer.adds(&conversation, "in passing").await;
    brief.stop().await;
    eventually("the news", async || {
        let heard = ben.hears().await;
        heard.lists == [ben.user.clone()] || heard.conversations == [conversation.id.clone()]
    })
    .await;
    here.end().await;
}

#[tokio::test]
async fn the_rest_of_a_cut_page_is_notified_wherever_the_station_subscribes() {
    let (_nats, nodes) = two_nodes_with_nats().await;
    let (ann, ben, conversation) = nodes[0].conversation().await;
    fill(&nodes[0], &ann, &conversation, 1200).await;
    let mut socket = Socket::of(&ben, 3).await;
    know_each_other(&nodes, &ben).await;
    know_each_other(&[nodes[1].clone(), nodes[0].clone()], &ben).await;
    socket.drain().await;
    // The same station, served by another node.
    let there = Person {
        world: nodes[1].clone(),
        ..ben.clone()
    };
    let page = there.reads(&conversation).await["messages"].clone();
    assert_eq!(page.as_array().unwrap().len(), 1000);
    let frame = socket.hears().await;
    assert_eq!(
        (
            &frame["conversationchangedof"],
            &frame["conversationlistchangedof"]
        ),
        (&json!([conversation.id]), &json!([]))
    );
    let rest = there
        .does(
            "download",
            &conversation,
            json!({ "firstmessageid": page[999]["ID"] }),
        )
        .await
        .ok();
    assert_eq!(rest["messages"].as_array().unwrap().len(), 201);
    socket.hears_nothing().await;
    end(nodes).await;
}

/// Stores this many messages in a conversation.
async fn fill(world: &Arc<World>, author: &Person, conversation: &Conversation, messages: usize) {
    for round in 0..messages / 40 {
        join_all((0..40).map(|n| async move {
            author
                .does(
                    "add",
                    conversation,
                    json!({ "message": message(&format!("{round} {n}")) }),
                )
                .await
                .ok()
        }))
        .await;
    }
    assert_eq!(
        world.count("messages").await,
        i64::try_from(messages).unwrap()
    );
}
