//! Text that looks like SQL is stored as text, or refused.

use serde_json::json;

use super::everything;
use crate::world::{World, request};

#[tokio::test]
async fn text_that_looks_like_sql_is_stored_or_refused() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "before").await;
    let before = everything(&world).await;
    let attacks = [
        "' or '1'='1",
        "1; drop table messages; --",
        "') union select public_key from users --",
        "\\'; select pg_sleep(10); --",
        "%00",
        "$1",
    ];
    for attack in attacks {
        for field in [
            "firstmessageid",
            "firstmessagedate",
            "firstreportid",
            "firstreportdate",
            "instance",
            "conversationid",
        ] {
            let mut request = request("download", &conversation, json!({}));
            request[field] = attack.into();
            ben.asks("chatconversation", request)
                .await
                .refused(400, "bad_request");
        }
        for field in [
            "lastmessageid",
            "lastmessagedate",
            "lastreportid",
            "lastreportdate",
            "limit",
        ] {
            ben.does("downloadpartial", &conversation, json!({ field: attack }))
                .await
                .refused(400, "bad_request");
        }
        ben.does("transcript", &conversation, json!({ "afterseq": attack }))
            .await
            .refused(400, "bad_request");
        ben.does("hide", &conversation, json!({ "hideid": attack }))
            .await
            .refused(400, "bad_request");
        ben.does(
            "setlistitembackgroundcolor",
            &conversation,
            json!({ "color": attack }),
        )
        .await
        .refused(400, "bad_request");
        ben.asks(attack, json!({ "action": "list" }))
            .await
            .refused(404, "unknown_api");
        ben.asks("chatconversation", json!({ "action": attack }))
            .await
            .refused(404, "unknown_action");
    }
    assert_eq!(everything(&world).await, before);
    // Free text is returned as it was sent.
    for attack in attacks {
        ann.adds(&conversation, attack).await;
    }
    let page = ben.reads(&conversation).await;
    let data: Vec<&str> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|row| row["Data"].as_str().unwrap())
        .collect();
    assert_eq!(data, attacks);
    world.end().await;
}
