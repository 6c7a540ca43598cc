//! What was read lately is shown again without being read again, and never when it is not the truth any more.

use serde_json::{Value, json};

use crate::world::{Person, Talk, World, at, message, on};

/// Ten messages, and a report on each: the messages' ids, oldest first.
async fn ten(ann: &Person, ben: &Person, talk: &Talk) -> Vec<String> {
    let mut written = vec![];
    for n in 0..10 {
        written.push(ann.adds(talk, &format!("\"{n}\"")).await);
    }
    ben.views(talk, &written).await.is_ok();
    written
}

async fn reads(who: &Person, version: i64, talk: &Talk, cursor: Value) -> Value {
    let page = who
        .asks_as(version, "chatconversation", on("download", talk, cursor))
        .await
        .is_ok();
    for row in page["messages"].as_array().unwrap() {
        assert_eq!(
            ["User", "Station", "Seq", "Chain"].map(|field| row.get(field).is_some()),
            [version == 4; 4],
            "{row}"
        );
    }
    page
}

/// Changes rows as no server does: only who reads them again sees it.
async fn marks(world: &World) {
    world
        .sql("update messages set data = 'read again'; update reports set type = 'delivered'")
        .await;
}

fn was_read_again(page: &Value) -> bool {
    let (messages, reports) = (
        page["messages"].as_array().unwrap(),
        page["reports"].as_array().unwrap(),
    );
    let is_marked = messages.iter().any(|row| row["Data"] == "read again")
        || reports.iter().any(|row| row["Type"] == "delivered");
    let all = messages.iter().all(|row| row["Data"] == "read again")
        && reports.iter().all(|row| row["Type"] == "delivered");
    assert_eq!(is_marked, all, "{page}");
    all
}

#[tokio::test]
async fn a_page_is_read_once_for_all_who_ask_until_something_is_added() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let written = ten(&ann, &ben, &talk).await;
    let mut before = vec![];
    for version in [3, 4] {
        let all = reads(&ann, version, &talk, json!({})).await;
        let report = all["reports"][3]["ID"].clone();
        for cursor in [
            json!({}),
            json!({ "firstmessageid": written[2] }),
            json!({ "firstmessageid": written[9], "firstreportid": report }),
        ] {
            before.push((
                version,
                cursor.clone(),
                reads(&ben, version, &talk, cursor).await,
            ));
        }
    }
    assert_eq!(
        [&before[1].2, &before[2].2].map(|page| page["messages"].as_array().unwrap().len()),
        [8, 1]
    );
    assert_eq!(before[2].2["reports"].as_array().unwrap().len(), 7);
    assert_eq!(
        (before[0].2.get("hasmore"), &before[3].2["hasmore"]),
        (None, &json!(false))
    );
    marks(&world).await;
    for (version, cursor, page) in &before {
        assert_eq!(reads(&ben, *version, &talk, cursor.clone()).await, *page);
    }
    // What is not there, or reaches further back, is read.
    let from_nowhere = json!({ "firstmessageid": uuid::Uuid::new_v4(), "firstmessagedate": at(-chrono::TimeDelta::days(1)) });
    assert!(was_read_again(&reads(&ben, 3, &talk, from_nowhere).await));
    // Whatever is added, by whomever: a page for clients without version 4 is read again, and one for those with it has
    // what was added.
    for version in [3, 4] {
        ann.adds(&talk, "an eleventh").await;
        marks(&world).await;
        let page = reads(
            &ben,
            version,
            &talk,
            json!({ "firstmessageid": written[0] }),
        )
        .await;
        assert_eq!(was_read_again(&page), version == 3);
        assert_eq!(
            page["messages"].as_array().unwrap().len(),
            11 + usize::from(version == 4)
        );
    }
    let delivered = json!({ "action": "delivered", "conversationid": talk.id, "instance": talk.instance, "messageids": [written[0]] });
    ann.asks("chatreports", delivered).await.is_ok();
    assert_eq!(
        reads(&ben, 3, &talk, json!({})).await["reports"]
            .as_array()
            .unwrap()
            .len(),
        11
    );
    world.stop().await;
}

#[tokio::test]
async fn what_is_added_is_shown_without_reading_as_the_database_would_show_it() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ten(&ann, &ben, &talk).await;
    reads(&ann, 4, &talk, json!({})).await;
    let added = ann.adds(&talk, "an eleventh: \"quoted\"").await;
    ben.views(&talk, &[added]).await.is_ok();
    // This is never cached.
    let read = ben
        .asks_as(
            4,
            "chatconversation",
            on("downloadpartial", &talk, json!({})),
        )
        .await
        .is_ok();
    marks(&world).await;
    let shown = reads(&ben, 4, &talk, json!({})).await;
    assert!(!was_read_again(&shown));
    for kind in ["messages", "reports"] {
        assert_eq!(shown[kind], read[kind]);
        assert_eq!(shown[kind].as_array().unwrap().len(), 11);
    }
    world.stop().await;
}

#[tokio::test]
async fn what_begins_in_the_middle_is_not_shown_to_one_who_begins_before_it() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let written = ten(&ann, &ben, &talk).await;
    reads(&ann, 3, &talk, json!({ "firstmessageid": written[1] })).await;
    for (cursor, count) in [
        (json!({}), 10),
        (json!({ "firstmessageid": written[0] }), 10),
        (json!({ "firstmessageid": written[1] }), 9),
    ] {
        assert_eq!(
            reads(&ben, 3, &talk, cursor).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            count
        );
    }
    world.end().await;
}

#[tokio::test]
async fn what_was_read_is_shown_to_participants_alone_and_in_its_own_life() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let cleo = world.person("Cleo").await;
    ten(&ann, &ben, &talk).await;
    reads(&ann, 3, &talk, json!({})).await;
    cleo.does("download", &talk, json!({}))
        .await
        .is_refused(404, "conversation_not_found");
    let other = Talk {
        instance: "0000000000".into(),
        ..talk.clone()
    };
    ben.does("download", &other, json!({}))
        .await
        .is_refused(409, "stale_instance");
    let next = Talk::of(&ann.does("clear", &talk, json!({})).await.is_ok()["conversation"]);
    ben.does("download", &talk, json!({}))
        .await
        .is_refused(409, "stale_instance");
    assert_eq!(
        reads(&ben, 3, &next, json!({})).await["messages"],
        json!([])
    );
    world.end().await;
}

#[tokio::test]
async fn one_who_was_removed_is_shown_nothing_more() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let group = json!({
        "action": "create", "displayname": "group", "participantids": [ben.user],
        "secrets": { ann.user.clone(): "a", ben.user.clone(): "b" },
    });
    let talk = Talk::of(&ann.asks("chatconversationgroup", group).await.is_ok()["conversation"]);
    ten(&ann, &ben, &talk).await;
    assert_eq!(
        reads(&ben, 3, &talk, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let remove = json!({ "action": "removeparticipants", "conversationid": talk.id, "participantids": [ben.user] });
    ann.asks("chatconversationgroup", remove).await.is_ok();
    ben.does("download", &talk, json!({}))
        .await
        .is_refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn what_another_node_adds_is_read() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ten(&ann, &ben, &talk).await;
    assert_eq!(
        reads(&ben, 3, &talk, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let node = world.another().await;
    let elsewhere = Person {
        world: node.clone(),
        ..ann.clone()
    };
    for count in [11, 12] {
        elsewhere.adds(&talk, "there").await;
        assert_eq!(
            reads(&ben, 3, &talk, json!({})).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            count
        );
    }
    node.db.close().await;
    node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn what_another_database_has_under_the_same_number_is_read() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    ten(&ann, &ben, &talk).await;
    let cursor = json!({});
    reads(&ben, 3, &talk, cursor.clone()).await;
    // As after a failover to a replica that lacked the newest message or report, once another one was added there.
    for other in [
        "chain = sha256('another')",
        "last_report_id = gen_random_uuid()",
    ] {
        marks(&world).await;
        world
            .sql(&format!("update conversations set {other}"))
            .await;
        assert!(
            was_read_again(&reads(&ben, 3, &talk, cursor.clone()).await),
            "{other}"
        );
        world
            .sql("update messages set data = 'as before'; update reports set type = 'viewed'")
            .await;
    }
    world.stop().await;
}

#[tokio::test]
async fn what_may_be_purged_is_not_shown_from_memory() {
    let world = World::with(|settings| settings.expiry_grace = chrono::TimeDelta::zero()).await;
    let (ann, ben, talk) = world.talk().await;
    ten(&ann, &ben, &talk).await;
    let mut short = message("short");
    short["ValidUntil"] = at(-chrono::TimeDelta::days(1)).into();
    ann.does("add", &talk, json!({ "message": short.to_string() }))
        .await
        .is_ok();
    assert_eq!(
        reads(&ben, 3, &talk, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        11
    );
    marks(&world).await;
    assert!(was_read_again(&reads(&ben, 3, &talk, json!({})).await));
    world.stop().await;
}

#[tokio::test]
async fn reports_that_begin_in_the_middle_are_not_shown_to_one_who_begins_before_them() {
    let world = World::new().await;
    let (ann, ben, talk) = world.talk().await;
    let written = ten(&ann, &ben, &talk).await;
    let all = ann.reads(&talk).await;
    // Something is added, so that nothing of it is kept: then the first who reads has the newest reports only.
    ann.adds(&talk, "an eleventh").await;
    let report = all["reports"][5]["ID"].clone();
    for cursor in [
        json!({ "firstreportid": report }),
        json!({ "firstreportdate": at(chrono::TimeDelta::hours(-1)) }),
    ] {
        reads(&ann, 3, &talk, cursor).await;
        let page = reads(&ben, 3, &talk, json!({})).await;
        assert_eq!(
            ["messages", "reports"].map(|kind| page[kind].as_array().unwrap().len()),
            [11, 10]
        );
    }
    // A time alone, or beside an id that is gone, is looked up.
    world.sql("update messages set created_at = date_trunc('second', now()) + seq * interval '1 second'").await;
    ann.adds(&talk, "a twelfth").await;
    let moved = reads(&ann, 3, &talk, json!({})).await;
    assert_eq!(moved["messages"].as_array().unwrap().len(), 12);
    let from = reads(
        &ben,
        3,
        &talk,
        json!({ "firstmessagedate": moved["messages"][8]["Created"] }),
    )
    .await;
    assert_eq!(from["messages"][0]["ID"], written[8].as_str());
    // Nor is what a time led to all that there is.
    ann.adds(&talk, "a thirteenth").await;
    reads(
        &ann,
        3,
        &talk,
        json!({ "firstmessagedate": moved["messages"][3]["Created"] }),
    )
    .await;
    assert_eq!(
        reads(&ben, 3, &talk, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        13
    );
    world.stop().await;
}
