//! A retry is answered with the stored message.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::json;

use super::{add, with};
use crate::world::{World, at, eventually, message, now};

#[tokio::test]
async fn a_retry_is_answered_with_what_is_stored_and_stores_nothing() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let message = message("once");
    let first = add(&ann, &conversation, &message).await.ok();
    let second_device = ann.second_device().await;
    for person in [&ann, &ann, &second_device] {
        assert_eq!(add(person, &conversation, &message).await.ok(), first);
    }
    let upper = with(
        &message,
        "ID",
        json!(message["ID"].as_str().unwrap().to_uppercase()),
    );
    assert_eq!(add(&ann, &conversation, &upper).await.ok(), first);
    assert_eq!(world.count("messages").await, 1);
    world.end().await;
}

#[tokio::test]
async fn many_retries_at_the_same_moment_store_one_message() {
    let world = World::with(|settings| {
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    for round in 0..5 {
        let message = message(&format!("round {round}"));
        let answers = join_all((0..16).map(|_| add(&ann, &conversation, &message))).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.ok() == answers[0].json())
        );
    }
    assert_eq!(
        ben.reads(&conversation).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    world.end().await;
}

#[tokio::test]
async fn the_same_id_with_other_content_or_from_another_sender_is_a_conflict() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let message = message("first");
    add(&ann, &conversation, &message).await.ok();
    for (field, value) in [
        ("Data", json!("other")),
        ("Type", json!("Other")),
        ("Created", json!(at(TimeDelta::hours(-1)))),
        ("ValidUntil", json!(at(TimeDelta::days(30)))),
    ] {
        add(&ann, &conversation, &with(&message, field, value))
            .await
            .refused(409, "message_id_conflict");
    }
    add(&ben, &conversation, &message)
        .await
        .refused(409, "message_id_conflict");
    assert_eq!(ben.reads(&conversation).await["messages"], json!([message]));
    world.end().await;
}

#[tokio::test]
async fn the_same_id_in_another_conversation_is_another_message() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    let message = message("twice");
    add(&ann, &conversation, &message).await.ok();
    add(&ann, &other, &message).await.ok();
    assert_eq!(world.count("messages").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_clock_that_is_ahead_is_set_to_now_and_its_retry_is_known() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    // Behind, or slightly ahead: stored as sent.
    for created in [at(TimeDelta::days(-4000)), at(TimeDelta::minutes(4))] {
        let sent = with(&message("kept"), "Created", json!(created));
        assert_eq!(
            add(&ann, &conversation, &sent).await.ok()["message"]["Created"],
            created
        );
    }
    let before = now();
    let sent = with(&message("ahead"), "Created", json!(at(TimeDelta::hours(2))));
    let stored = add(&ann, &conversation, &sent).await.ok()["message"].clone();
    let created = stored["Created"].as_str().unwrap();
    assert!(
        *created >= *before && created <= now().as_str(),
        "{created}"
    );
    assert_eq!(stored["ValidUntil"], sent["ValidUntil"]);
    // A retry at a later second is the same message.
    eventually("a later second", async || now().as_str() > created).await;
    assert_eq!(
        add(&ann, &conversation, &sent).await.ok()["message"],
        stored
    );
    assert_eq!(world.count("messages").await, 3);
    world.end().await;
}
