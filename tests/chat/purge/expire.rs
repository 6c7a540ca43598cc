//! Expired messages are purged, and others are kept.

use std::time::Duration;

use chrono::TimeDelta;
use parlance::{settings::Database, store};
use serde_json::json;

use super::{age, purge};
use crate::{
    transcript::{asks, beginning, follow, head},
    world::{Conversation, Person, World, at, database, eventually, message, settings},
};

#[tokio::test]
async fn expired_messages_are_purged_with_their_reports_and_the_chain_holds() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let sent = ["one", "two", "three"].map(|data| {
        let mut message = message(data);
        message["ValidUntil"] = at(-TimeDelta::days(30)).into();
        message
    });
    let mut ids = vec![];
    for message in &sent {
        asks(
            &ann,
            "add",
            &conversation,
            json!({ "message": message.to_string() }),
        )
        .await;
        ids.push(message["ID"].as_str().unwrap().to_owned());
    }
    ben.views(&conversation, &ids).await.ok();
    let before = head(&ben, &conversation).await;
    age(&world, 6).await;
    assert_eq!(purge(&world, 7).await, 0);
    age(&world, 8).await;
    assert_eq!(purge(&world, 7).await, 3);
    let history = ben.reads(&conversation).await;
    assert_eq!(
        (&history["messages"], &history["reports"]),
        (&json!([]), &json!([]))
    );
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (0, 0)
    );
    // The chain is unchanged, and continues.
    assert_eq!(head(&ben, &conversation).await, before);
    let newest = ann.adds(&conversation, "four").await;
    let links = asks(&ben, "transcript", &conversation, json!({})).await["transcript"].clone();
    assert_eq!(links.as_array().unwrap().len(), 4);
    assert_eq!(
        head(&ben, &conversation).await,
        hex::encode(follow(beginning(&conversation), &links))
    );
    // A cursor still finds its place, although the clocks of later writers are behind.
    world
        .sql("update messages set created_at = now() - interval '30 days'")
        .await;
    for (cursor, found) in [(&sent[2], 1), (&sent[0], 1)] {
        let cursor =
            json!({ "firstmessageid": cursor["ID"], "firstmessagedate": cursor["Created"] });
        let page = ben.does("download", &conversation, cursor).await.ok();
        assert_eq!(page["messages"].as_array().unwrap().len(), found);
        assert_eq!(page["messages"][0]["ID"], newest.as_str());
    }
    let cursor = json!({ "lastmessageid": sent[2]["ID"], "lastmessagedate": sent[2]["Created"] });
    assert_eq!(
        ben.does("downloadpartial", &conversation, cursor)
            .await
            .ok()["messages"],
        json!([])
    );
    // A retry is still recognized, and so is another message with the same id.
    ann.does(
        "add",
        &conversation,
        json!({ "message": sent[1].to_string() }),
    )
    .await
    .ok();
    let mut other = sent[1].clone();
    other["Data"] = "other".into();
    ann.does(
        "add",
        &conversation,
        json!({ "message": other.to_string() }),
    )
    .await
    .refused(409, "message_id_conflict");
    // It cannot be reported on.
    ben.views(&conversation, &ids).await.ok();
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (1, 0)
    );
    assert!(
        store::doctor::examine(&world.store)
            .await
            .unwrap()
            .is_empty()
    );
    // `clear` deletes the rest, too.
    ann.does("clear", &conversation, json!({})).await.ok();
    assert_eq!(store::purge::cleared(&world.store).await.unwrap(), 4);
    assert_eq!(world.count("expired_messages").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_starting_server_deletes_cleared_messages_and_not_yet_expired_ones() {
    let options = database().await;
    let mut settings = settings();
    settings.database = Database::Given(Box::new(options.clone()));
    let before = World::start(settings.clone(), options.clone()).await;
    let (ann, _, conversation) = before.conversation().await;
    let cleo = before.person("Cleo").await;
    ann.befriends(&cleo).await;
    let other = ann.creates(&cleo).await;
    ann.adds(&conversation, "cleared").await;
    let conversation =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    ann.adds(&conversation, "expired").await;
    age(&before, 400).await;
    before.stop().await;
    // As far as this server knows, its clock is a year ahead.
    settings.timings.purge = Duration::from_millis(50);
    let world = World::start(settings, options).await;
    eventually("the purge", async || world.count("messages").await == 1).await;
    // Once the next round has begun, this one is over.
    let ann = Person {
        world: world.clone(),
        ..ann
    };
    ann.adds(&other, "cleared, too").await;
    ann.does("clear", &other, json!({})).await.ok();
    eventually("the next round", async || {
        world.count("messages").await == 1
    })
    .await;
    assert_eq!(
        ann.reads(&conversation).await["messages"][0]["Data"],
        "expired"
    );
    // The clock was watched for an hour, and servers have run for longer than the grace period
    // since it was stored.
    world
        .sql("update clock_runs set started_at = started_at - interval '300 days'")
        .await;
    world.clock.advance(Duration::from_hours(2));
    eventually("the text to go", async || {
        world.count("messages").await == 0 && world.count("expired_messages").await == 1
    })
    .await;
    world.end().await;
}

#[tokio::test]
async fn a_message_that_comes_late_is_kept_for_the_grace_all_the_same() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    // The sender's clock is a year behind, or the device was offline for a year.
    let mut late = message("late");
    late["Created"] = "2024-03-08 11:50:45".into();
    late["ValidUntil"] = "2024-03-15 11:50:45".into();
    ann.does("add", &conversation, json!({ "message": late.to_string() }))
        .await
        .ok();
    assert_eq!(purge(&world, 7).await, 0);
    assert_eq!(
        ben.reads(&conversation).await["messages"][0]["ID"],
        late["ID"]
    );
    world.end().await;
}

#[tokio::test]
async fn messages_that_are_kept_keep_their_reports() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for (n, days) in [30, -30, 30, -30].into_iter().enumerate() {
        let mut message = message(&n.to_string());
        message["ValidUntil"] = at(TimeDelta::days(days)).into();
        ann.does("add", &conversation, json!({ "message": message }))
            .await
            .ok();
        ids.push(message["ID"].as_str().unwrap().to_owned());
    }
    ben.views(&conversation, &ids).await.ok();
    world
        .sql("update messages set stored_at = now() - interval '20 days'")
        .await;
    assert_eq!(purge(&world, 7).await, 2);
    let left = ben.reads(&conversation).await;
    let names = |kind: &str, field: &str| {
        left[kind]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[field].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("messages", "ID"), [json!(ids[0]), json!(ids[2])]);
    assert_eq!(
        names("reports", "MessageID"),
        [json!(ids[0]), json!(ids[2])]
    );
    world.end().await;
}

#[tokio::test]
async fn the_operator_keeps_nothing_longer_than_they_say_whatever_a_sender_says() {
    let world = World::with(|settings| settings.max_message_lifetime = TimeDelta::days(30)).await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for until in ["9999-12-31 00:00:00".to_owned(), at(TimeDelta::days(20))] {
        let mut message = message("x");
        message["ValidUntil"] = until.clone().into();
        let answer = ann
            .does(
                "add",
                &conversation,
                json!({ "message": message.to_string() }),
            )
            .await
            .ok();
        // The answer, and what its readers get, are as sent.
        assert_eq!(answer["message"]["ValidUntil"], until.as_str());
        ids.push(until);
    }
    let read = ben.reads(&conversation).await;
    for (message, until) in read["messages"].as_array().unwrap().iter().zip(&ids) {
        assert_eq!(message["ValidUntil"], until.as_str());
    }
    // Time passes.
    let passes = async |days: u32| {
        world
            .sql(&format!(
                "update messages set stored_at = stored_at - interval '{days} days',
                    keep_until = keep_until - interval '{days} days', valid_until = case
                        when valid_until > '9000-01-01' then valid_until else valid_until - interval '{days} days' end"
            ))
            .await;
    };
    assert_eq!(
        world.count("messages where keep_until is not null").await,
        1
    );
    passes(28).await;
    assert_eq!(
        purge(&world, 7).await,
        1,
        "the one that ended after 20 days"
    );
    passes(8).await;
    assert_eq!(purge(&world, 7).await, 0);
    passes(2).await;
    assert_eq!(purge(&world, 7).await, 1);
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}
