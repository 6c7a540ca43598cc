//! A page is read once until something is added.

use serde_json::json;

use super::{marks, reads, ten, was_read_again};
use crate::world::{World, at, request};

#[tokio::test]
async fn a_page_is_read_once_for_all_who_ask_until_something_is_added() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let written = ten(&ann, &ben, &conversation).await;
    let mut before = vec![];
    for version in [3, 4] {
        let all = reads(&ann, version, &conversation, json!({})).await;
        let report = all["reports"][3]["ID"].clone();
        for cursor in [
            json!({}),
            json!({ "firstmessageid": written[2] }),
            json!({ "firstmessageid": written[9], "firstreportid": report }),
        ] {
            before.push((
                version,
                cursor.clone(),
                reads(&ben, version, &conversation, cursor).await,
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
        assert_eq!(
            reads(&ben, *version, &conversation, cursor.clone()).await,
            *page
        );
    }
    // A page that is not cached, or reaches further back, is read.
    let from_nowhere = json!({ "firstmessageid": uuid::Uuid::new_v4(), "firstmessagedate": at(-chrono::TimeDelta::days(1)) });
    assert!(was_read_again(
        &reads(&ben, 3, &conversation, from_nowhere).await
    ));
    // After any addition by any user: a page for clients without version 4 is read again, and one
    // for those with it has the addition.
    for version in [3, 4] {
        ann.adds(&conversation, "an eleventh").await;
        marks(&world).await;
        let page = reads(
            &ben,
            version,
            &conversation,
            json!({ "firstmessageid": written[0] }),
        )
        .await;
        assert_eq!(was_read_again(&page), version == 3);
        assert_eq!(
            page["messages"].as_array().unwrap().len(),
            11 + usize::from(version == 4)
        );
    }
    let delivered = json!({ "action": "delivered", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [written[0]] });
    ann.asks("chatreports", delivered).await.ok();
    assert_eq!(
        reads(&ben, 3, &conversation, json!({})).await["reports"]
            .as_array()
            .unwrap()
            .len(),
        11
    );
    world.stop().await;
}

#[tokio::test]
async fn added_rows_are_served_from_the_cache_as_from_the_database() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ten(&ann, &ben, &conversation).await;
    reads(&ann, 4, &conversation, json!({})).await;
    let added = ann.adds(&conversation, "an eleventh: \"quoted\"").await;
    ben.views(&conversation, &[added]).await.ok();
    // This is never cached.
    let read = ben
        .asks_as(
            4,
            "chatconversation",
            request("downloadpartial", &conversation, json!({})),
        )
        .await
        .ok();
    marks(&world).await;
    let shown = reads(&ben, 4, &conversation, json!({})).await;
    assert!(!was_read_again(&shown));
    for kind in ["messages", "reports"] {
        assert_eq!(shown[kind], read[kind]);
        assert_eq!(shown[kind].as_array().unwrap().len(), 11);
    }
    world.stop().await;
}

#[tokio::test]
async fn a_page_cached_from_the_middle_is_not_served_from_an_earlier_cursor() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let written = ten(&ann, &ben, &conversation).await;
    reads(
        &ann,
        3,
        &conversation,
        json!({ "firstmessageid": written[1] }),
    )
    .await;
    for (cursor, count) in [
        (json!({}), 10),
        (json!({ "firstmessageid": written[0] }), 10),
        (json!({ "firstmessageid": written[1] }), 9),
    ] {
        assert_eq!(
            reads(&ben, 3, &conversation, cursor).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            count
        );
    }
    world.end().await;
}

#[tokio::test]
async fn reports_cached_from_the_middle_are_not_served_from_an_earlier_cursor() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let written = ten(&ann, &ben, &conversation).await;
    let all = ann.reads(&conversation).await;
    // After an addition nothing of the page remains: the first reader then caches only the newest
    // reports.
    ann.adds(&conversation, "an eleventh").await;
    let report = all["reports"][5]["ID"].clone();
    for cursor in [
        json!({ "firstreportid": report }),
        json!({ "firstreportdate": at(chrono::TimeDelta::hours(-1)) }),
    ] {
        reads(&ann, 3, &conversation, cursor).await;
        let page = reads(&ben, 3, &conversation, json!({})).await;
        assert_eq!(
            ["messages", "reports"].map(|kind| page[kind].as_array().unwrap().len()),
            [11, 10]
        );
    }
    // A time alone, or beside an id that is gone, is looked up.
    world.sql("update messages set created_at = date_trunc('second', now()) + seq * interval '1 second'").await;
    ann.adds(&conversation, "a twelfth").await;
    let moved = reads(&ann, 3, &conversation, json!({})).await;
    assert_eq!(moved["messages"].as_array().unwrap().len(), 12);
    let from = reads(
        &ben,
        3,
        &conversation,
        json!({ "firstmessagedate": moved["messages"][8]["Created"] }),
    )
    .await;
    assert_eq!(from["messages"][0]["ID"], written[8].as_str());
    // The result of a look-up by time does not serve a read of everything.
    ann.adds(&conversation, "a thirteenth").await;
    reads(
        &ann,
        3,
        &conversation,
        json!({ "firstmessagedate": moved["messages"][3]["Created"] }),
    )
    .await;
    assert_eq!(
        reads(&ben, 3, &conversation, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        13
    );
    world.stop().await;
}
