//! The content of a message, as sent and as read.

use chrono::TimeDelta;
use serde_json::json;

use super::{add, with};
use crate::world::{World, message};

#[tokio::test]
async fn a_message_is_read_back_byte_for_byte_by_both() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let data = [
        "uwR...A==".to_owned(),
        String::new(),
        (b' '..=b'~').map(char::from).collect(),
        "A".repeat(64 * 1024),
    ];
    let mut sent = vec![];
    for data in &data {
        let message = message(data);
        let stored = add(&ann, &conversation, &message).await.ok()["message"].clone();
        assert_eq!(
            stored,
            json!({ "ID": message["ID"], "Type": "Message", "Created": message["Created"], "ValidUntil": message["ValidUntil"] })
        );
        sent.push(message);
    }
    for person in [&ann, &ben] {
        assert_eq!(person.reads(&conversation).await["messages"], json!(sent));
    }
    world.end().await;
}

#[tokio::test]
async fn a_message_may_be_a_document_in_a_string_or_an_object() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let message = message("either way");
    ann.does("add", &conversation, json!({ "message": message }))
        .await
        .ok();
    ann.does(
        "add",
        &conversation,
        json!({ "message": message.to_string() }),
    )
    .await
    .ok();
    assert_eq!(world.count("messages").await, 1);
    world.end().await;
}

#[tokio::test]
async fn without_validuntil_a_message_lives_for_the_configured_time() {
    let world = World::with(|settings| settings.message_lifetime = TimeDelta::days(2)).await;
    let (ann, _ben, conversation) = world.conversation().await;
    for absent in [None, Some(json!(null)), Some(json!(""))] {
        let mut sent = with(&message("x"), "Created", json!("2024-03-08 14:12:48"));
        sent.as_object_mut().unwrap().remove("ValidUntil");
        if let Some(value) = absent {
            sent["ValidUntil"] = value;
        }
        for _ in 0..2 {
            assert_eq!(
                add(&ann, &conversation, &sent).await.ok()["message"]["ValidUntil"],
                "2024-03-10 14:12:48"
            );
        }
    }
    world.end().await;
}

#[tokio::test]
async fn malformed_messages_are_refused_by_field_and_not_stored() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let good = message("x");
    for (field, wrong) in [
        ("ID", json!("x")),
        ("ID", json!("")),
        ("ID", json!(5)),
        ("ID", json!("{fc2515cb-e483-4f64-936b-98f680565c96}")),
        ("Type", json!("")),
        ("Type", json!("a".repeat(33))),
        ("Type", json!("a b")),
        ("Created", json!("2024-03-08")),
        ("Created", json!("2024-02-30 00:00:00")),
        ("Created", json!("0000-00-00 00:00:00")),
        ("Created", json!(1_709_907_168)),
        ("ValidUntil", json!("tomorrow")),
        ("ValidUntil", json!(7)),
        ("Data", json!("a\u{0}b")),
        ("Data", json!(["a"])),
        ("Data", json!(null)),
    ] {
        let refusal = add(&ann, &conversation, &with(&good, field, wrong.clone()))
            .await
            .refused(400, "bad_request");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(
            sentence.starts_with(&format!("message.{field} must be ")),
            "{field} {wrong}: {refusal}"
        );
        let as_object = ann
            .does(
                "add",
                &conversation,
                json!({ "message": with(&good, field, wrong) }),
            )
            .await
            .refused(400, "bad_request");
        assert_eq!(as_object["errormessage"], sentence, "{field}");
    }
    for field in ["ID", "Type", "Created", "Data"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(field);
        add(&ann, &conversation, &without)
            .await
            .refused(400, "bad_request");
    }
    for wrong in ["", "x", "[]", "{", "null", "{} {}", "\"{}\""] {
        ann.does("add", &conversation, json!({ "message": wrong }))
            .await
            .refused(400, "bad_request");
    }
    let refusal = add(
        &ann,
        &conversation,
        &with(&good, "Data", json!("A".repeat(64 * 1024 + 1))),
    )
    .await
    .refused(413, "too_large");
    assert!(refusal["errormessage"].as_str().unwrap().contains("65536"));
    assert_eq!(world.count("messages").await, 0);
    // The extremes of the calendar are valid.
    for created in ["0001-01-01 00:00:00", "9999-12-31 23:59:59"] {
        add(
            &ann,
            &conversation,
            &with(&message("x"), "Created", json!(created)),
        )
        .await
        .ok();
        add(
            &ann,
            &conversation,
            &with(&message("x"), "ValidUntil", json!(created)),
        )
        .await
        .ok();
    }
    world.end().await;
}

#[tokio::test]
async fn a_v4_client_gets_the_sender_and_station() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "x").await;
    for action in ["download", "downloadpartial"] {
        let request = crate::world::request(action, &conversation, json!({}));
        let history = ben
            .asks_as(4, "chatconversation", request.clone())
            .await
            .ok();
        assert_eq!(
            (
                &history["messages"][0]["User"],
                &history["messages"][0]["Station"]
            ),
            (&json!(ann.user), &json!(ann.station))
        );
        assert_eq!(history["hasmore"], false);
        let published = ben.asks("chatconversation", request).await.ok();
        assert_eq!(published["messages"][0].as_object().unwrap().len(), 5);
        assert_eq!(published.get("hasmore"), None);
    }
    world.end().await;
}

#[tokio::test]
async fn the_list_names_the_newest_message_in_every_answer() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..3 {
        let id = ann.adds(&conversation, &n.to_string()).await;
        assert_eq!(ben.sees(&conversation).await["lastmessageid"], id);
        assert_eq!(
            ben.does("mute", &conversation, json!({})).await.ok()["conversation"]["lastmessageid"],
            id
        );
    }
    world.end().await;
}

#[tokio::test]
async fn values_of_the_maximum_size_are_accepted() {
    let world = World::with(|settings| settings.max_message_bytes = 100).await;
    let (ann, ben, conversation) = world.conversation().await;
    let sent = with(&message(&"A".repeat(100)), "Type", json!("T".repeat(32)));
    add(&ann, &conversation, &sent).await.ok();
    add(&ann, &conversation, &message(&"A".repeat(101)))
        .await
        .refused(413, "too_large");
    assert_eq!(ben.reads(&conversation).await["messages"], json!([sent]));
    let hide_id = "a".repeat(256);
    let hidden = ann
        .does("hide", &conversation, json!({ "hideid": hide_id }))
        .await
        .ok();
    assert_eq!(hidden["conversation"]["properties"][0]["hideid"], hide_id);
    world.end().await;
}
