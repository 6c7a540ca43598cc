//! A cursor whose row is gone, or belongs to an earlier instance.

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;

use super::{download, five, ids, partial};
use crate::world::{Conversation, World, at, message};

#[tokio::test]
async fn a_cursor_whose_row_is_gone_falls_back_to_its_date() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut written = vec![];
    for hour in 0..5 {
        let mut message = message("x");
        message["Created"] = at(TimeDelta::hours(hour - 10)).into();
        ann.does("add", &conversation, json!({ "message": message }))
            .await
            .ok();
        written.push((
            message["ID"].as_str().unwrap().to_owned(),
            message["Created"].as_str().unwrap().to_owned(),
        ));
    }
    ben.views(
        &conversation,
        &written.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
    )
    .await
    .ok();
    let gone = Uuid::new_v4().to_string();
    for n in 0..5 {
        let at = &written[n].1;
        let from = download(
            &ben,
            &conversation,
            json!({ "firstmessageid": gone, "firstmessagedate": at }),
        )
        .await;
        assert_eq!(ids(&from, "messages").len(), 5 - n);
        let before = partial(
            &ben,
            &conversation,
            json!({ "lastmessageid": gone, "lastmessagedate": at }),
        )
        .await;
        assert_eq!(ids(&before, "messages").len(), n);
        // A date alone is such a cursor too.
        assert_eq!(
            ids(
                &download(&ben, &conversation, json!({ "firstmessagedate": at })).await,
                "messages"
            )
            .len(),
            5 - n
        );
    }
    // After the newest row: nothing forward, everything backward. Without a date: from the
    // beginning.
    let later = at(TimeDelta::hours(1));
    let after = json!({ "firstmessageid": gone, "firstmessagedate": later, "firstreportid": gone, "firstreportdate": later });
    let after = download(&ben, &conversation, after).await;
    assert_eq!(
        (ids(&after, "messages").len(), ids(&after, "reports").len()),
        (0, 0)
    );
    let before = json!({ "lastmessageid": gone, "lastmessagedate": later, "lastreportid": gone, "lastreportdate": later });
    let before = partial(&ben, &conversation, before).await;
    assert_eq!(
        (
            ids(&before, "messages").len(),
            ids(&before, "reports").len()
        ),
        (5, 5)
    );
    let unknown = download(
        &ben,
        &conversation,
        json!({ "firstmessageid": gone, "firstreportid": gone }),
    )
    .await;
    assert_eq!(
        (
            ids(&unknown, "messages").len(),
            ids(&unknown, "reports").len()
        ),
        (5, 5)
    );
    world.end().await;
}

#[tokio::test]
async fn a_cursor_of_an_earlier_instance_is_gone() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    five(&ann, &ben, &conversation).await;
    let old = ann.reads(&conversation).await;
    let (message, report) = (&old["messages"][2], &old["reports"][2]);
    let next =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    five(&ann, &ben, &next).await;
    let cursor = json!({
        "firstmessageid": message["ID"], "firstmessagedate": message["Created"], "firstreportid": report["ID"], "firstreportdate": report["Created"],
    });
    let page = download(&ben, &next, cursor).await;
    assert_eq!(
        (ids(&page, "messages").len(), ids(&page, "reports").len()),
        (5, 5)
    );
    let cursor = json!({ "lastmessageid": message["ID"], "lastreportid": report["ID"] });
    let page = partial(&ben, &next, cursor).await;
    assert_eq!(
        (ids(&page, "messages").len(), ids(&page, "reports").len()),
        (5, 5)
    );
    world.end().await;
}
