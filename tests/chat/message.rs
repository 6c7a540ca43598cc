//! Messages: stored exactly once, as they were sent.

use chrono::TimeDelta;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{Answer, Person, Talk, World, at, eventually, message, now};

async fn add(person: &Person, talk: &Talk, message: &Value) -> Answer {
    person
        .does("add", talk, json!({ "message": message.to_string() }))
        .await
}

fn with(message: &Value, field: &str, value: Value) -> Value {
    let mut changed = message.clone();
    changed[field] = value;
    changed
}

#[tokio::test]
async fn a_message_is_read_back_byte_for_byte_by_both() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let data = [
        "uwR...A==".to_owned(),
        String::new(),
        (b' '..=b'~').map(char::from).collect(),
        "A".repeat(64 * 1024),
    ];
    let mut sent = vec![];
    for data in &data {
        let message = message(data);
        let stored = add(&ann, &talk, &message).await.is_ok()["message"].clone();
        assert_eq!(
            stored,
            json!({ "ID": message["ID"], "Type": "Message", "Created": message["Created"], "ValidUntil": message["ValidUntil"] })
        );
        sent.push(message);
    }
    for person in [&ann, &ben] {
        assert_eq!(person.reads(&talk).await["messages"], json!(sent));
    }
    world.end().await;
}

#[tokio::test]
async fn a_message_may_be_a_document_in_a_string_or_an_object() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    let message = message("either way");
    ann.does("add", &talk, json!({ "message": message }))
        .await
        .is_ok();
    ann.does("add", &talk, json!({ "message": message.to_string() }))
        .await
        .is_ok();
    assert_eq!(world.count("messages").await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_retry_is_answered_with_what_is_stored_and_stores_nothing() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    let message = message("once");
    let first = add(&ann, &talk, &message).await.is_ok();
    let elsewhere = ann.elsewhere().await;
    for person in [&ann, &ann, &elsewhere] {
        assert_eq!(add(person, &talk, &message).await.is_ok(), first);
    }
    let upper = with(
        &message,
        "ID",
        json!(message["ID"].as_str().unwrap().to_uppercase()),
    );
    assert_eq!(add(&ann, &talk, &upper).await.is_ok(), first);
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
    let (ann, ben, talk) = world.talk().await;
    for round in 0..5 {
        let message = message(&format!("round {round}"));
        let answers = join_all((0..16).map(|_| add(&ann, &talk, &message))).await;
        assert!(
            answers
                .iter()
                .all(|answer| answer.is_ok() == answers[0].json())
        );
    }
    assert_eq!(
        ben.reads(&talk).await["messages"].as_array().unwrap().len(),
        5
    );
    world.end().await;
}

#[tokio::test]
async fn the_same_id_with_other_content_or_from_another_sender_is_a_conflict() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let message = message("first");
    add(&ann, &talk, &message).await.is_ok();
    for (field, value) in [
        ("Data", json!("other")),
        ("Type", json!("Other")),
        ("Created", json!(at(TimeDelta::hours(-1)))),
        ("ValidUntil", json!(at(TimeDelta::days(30)))),
    ] {
        add(&ann, &talk, &with(&message, field, value))
            .await
            .is_refused(409, "message_id_conflict");
    }
    add(&ben, &talk, &message)
        .await
        .is_refused(409, "message_id_conflict");
    assert_eq!(ben.reads(&talk).await["messages"], json!([message]));
    world.end().await;
}

#[tokio::test]
async fn the_same_id_in_another_conversation_is_another_message() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    let cleo = world.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    let message = message("twice");
    add(&ann, &talk, &message).await.is_ok();
    add(&ann, &other, &message).await.is_ok();
    assert_eq!(world.count("messages").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_clock_that_is_ahead_is_set_to_now_and_its_retry_is_known() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
    // Behind, or a little ahead: kept as sent.
    for created in [at(TimeDelta::days(-4000)), at(TimeDelta::minutes(4))] {
        let sent = with(&message("kept"), "Created", json!(created));
        assert_eq!(
            add(&ann, &talk, &sent).await.is_ok()["message"]["Created"],
            created
        );
    }
    let before = now();
    let sent = with(&message("ahead"), "Created", json!(at(TimeDelta::hours(2))));
    let stored = add(&ann, &talk, &sent).await.is_ok()["message"].clone();
    let created = stored["Created"].as_str().unwrap();
    assert!(
        *created >= *before && created <= now().as_str(),
        "{created}"
    );
    assert_eq!(stored["ValidUntil"], sent["ValidUntil"]);
    // A retry, even a moment later, is the same message.
    eventually("a later second", async || now().as_str() > created).await;
    assert_eq!(add(&ann, &talk, &sent).await.is_ok()["message"], stored);
    assert_eq!(world.count("messages").await, 3);
    world.end().await;
}

#[tokio::test]
async fn without_validuntil_a_message_lives_for_the_configured_time() {
    let world = World::with(|settings| settings.message_lifetime = TimeDelta::days(2)).await;
    let (ann, _ben, talk) = world.talk().await;
    for absent in [None, Some(json!(null)), Some(json!(""))] {
        let mut sent = with(&message("x"), "Created", json!("2024-03-08 14:12:48"));
        sent.as_object_mut().unwrap().remove("ValidUntil");
        if let Some(value) = absent {
            sent["ValidUntil"] = value;
        }
        for _ in 0..2 {
            assert_eq!(
                add(&ann, &talk, &sent).await.is_ok()["message"]["ValidUntil"],
                "2024-03-10 14:12:48"
            );
        }
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_no_message_is_refused_by_field_and_not_stored() {
    let world = World::new().await;
    let (ann, _ben, talk) = world.talk().await;
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
        let refusal = add(&ann, &talk, &with(&good, field, wrong.clone()))
            .await
            .is_refused(400, "bad_request");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(
            sentence.starts_with(&format!("message.{field} must be ")),
            "{field} {wrong}: {refusal}"
        );
        let as_object = ann
            .does(
                "add",
                &talk,
                json!({ "message": with(&good, field, wrong) }),
            )
            .await
            .is_refused(400, "bad_request");
        assert_eq!(as_object["errormessage"], sentence, "{field}");
    }
    for field in ["ID", "Type", "Created", "Data"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(field);
        add(&ann, &talk, &without)
            .await
            .is_refused(400, "bad_request");
    }
    for wrong in ["", "x", "[]", "{", "null", "{} {}", "\"{}\""] {
        ann.does("add", &talk, json!({ "message": wrong }))
            .await
            .is_refused(400, "bad_request");
    }
    let refusal = add(
        &ann,
        &talk,
        &with(&good, "Data", json!("A".repeat(64 * 1024 + 1))),
    )
    .await
    .is_refused(413, "too_large");
    assert!(refusal["errormessage"].as_str().unwrap().contains("65536"));
    assert_eq!(world.count("messages").await, 0);
    // Times at the ends of the calendar are times.
    for created in ["0001-01-01 00:00:00", "9999-12-31 23:59:59"] {
        add(&ann, &talk, &with(&message("x"), "Created", json!(created)))
            .await
            .is_ok();
        add(
            &ann,
            &talk,
            &with(&message("x"), "ValidUntil", json!(created)),
        )
        .await
        .is_ok();
    }
    world.end().await;
}

#[tokio::test]
async fn a_v4_client_is_told_who_wrote_from_where() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ann.adds(&talk, "x").await;
    for action in ["download", "downloadpartial"] {
        let request = crate::world::on(action, &talk, json!({}));
        let history = ben
            .asks_as(4, "chatconversation", request.clone())
            .await
            .is_ok();
        assert_eq!(
            (
                &history["messages"][0]["User"],
                &history["messages"][0]["Station"]
            ),
            (&json!(ann.user), &json!(ann.station))
        );
        assert_eq!(history["hasmore"], false);
        let published = ben.asks("chatconversation", request).await.is_ok();
        assert_eq!(published["messages"][0].as_object().unwrap().len(), 5);
        assert_eq!(published.get("hasmore"), None);
    }
    world.end().await;
}

#[tokio::test]
async fn the_list_names_the_newest_message_in_every_answer() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    for n in 0..3 {
        let id = ann.adds(&talk, &n.to_string()).await;
        assert_eq!(ben.sees(&talk).await["lastmessageid"], id);
        assert_eq!(
            ben.does("mute", &talk, json!({})).await.is_ok()["conversation"]["lastmessageid"],
            id
        );
    }
    world.end().await;
}

#[tokio::test]
async fn what_is_as_large_as_it_may_be_is_taken() {
    let world = World::with(|settings| settings.max_message_bytes = 100).await;
    let (ann, ben, talk) = world.talk().await;
    let sent = with(&message(&"A".repeat(100)), "Type", json!("T".repeat(32)));
    add(&ann, &talk, &sent).await.is_ok();
    add(&ann, &talk, &message(&"A".repeat(101)))
        .await
        .is_refused(413, "too_large");
    assert_eq!(ben.reads(&talk).await["messages"], json!([sent]));
    let hide_id = "a".repeat(256);
    let hidden = ann
        .does("hide", &talk, json!({ "hideid": hide_id }))
        .await
        .is_ok();
    assert_eq!(hidden["conversation"]["properties"][0]["hideid"], hide_id);
    world.end().await;
}
