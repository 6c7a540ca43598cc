//! Counts round trips to the database on the wire.

use serde_json::json;

use super::still;
use crate::{
    proxy::behind_a_proxy,
    world::{message, request},
};

#[tokio::test]
async fn each_read_and_each_flag_is_one_round_trip() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..30 {
        let id = ann.adds(&conversation, &n.to_string()).await;
        ben.views(&conversation, &[id]).await.ok();
    }
    // Dozens of conversations, as the number must not matter.
    world
        .sql(&format!(
            "insert into conversations (conversation_id, is_group, instance, last_access_at, created_at)
            select md5(n::text)::uuid, true, 'AAAAAAAAAA', now(), now() from generate_series(1, 100) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select md5(n::text)::uuid, u::uuid, '', '', 'admin', now() from generate_series(1, 100) n, unnest(array['{}', '{}']) u",
            ann.user, ben.user
        ))
        .await;
    for request in [
        json!({ "action": "list" }),
        json!({ "action": "list", "limit": 10, "after": "c4ca4238a0b923820dcc509a6f75849b" }),
        request("download", &conversation, json!({})),
        request("downloadpartial", &conversation, json!({})),
        request("favorite", &conversation, json!({})),
        request("unfavorite", &conversation, json!({})),
        request("mute", &conversation, json!({})),
        request("unmute", &conversation, json!({})),
        request("hide", &conversation, json!({ "hideid": "AAAAAAAAAA;" })),
        request("hide", &conversation, json!({})),
        request("unhide", &conversation, json!({})),
        request(
            "setlistitembackgroundcolor",
            &conversation,
            json!({ "color": "#bae1ff" }),
        ),
        request("add", &conversation, json!({ "message": message("x") })),
    ] {
        // The first ones on each connection also prepare the statement.
        let mut trips = vec![];
        for _ in 0..6 {
            let before = proxy.round_trips();
            let version = if request.get("after").is_some() { 4 } else { 3 };
            ann.asks_as(version, "chatconversation", request.clone())
                .await
                .ok();
            trips.push(proxy.round_trips() - before);
        }
        assert_eq!(trips[3..], [1, 1, 1], "{request}: {trips:?}");
    }
    let before = proxy.round_trips();
    ann.hears().await;
    assert_eq!(
        proxy.round_trips(),
        before,
        "notifications need no database"
    );
    world.end().await;
}

#[tokio::test]
async fn a_list_of_friends_is_one_round_trip_for_each_of_its_parts() {
    let (world, proxy) = behind_a_proxy(still).await;
    let (ann, _) = world.friends().await;
    // Requests, then who has left with what the user chose, then friends.
    for (version, parts) in [(3, 1), (4, 3)] {
        let mut trips = vec![];
        for _ in 0..6 {
            let before = proxy.round_trips();
            ann.asks_as(version, "chatfriends", json!({ "action": "list" }))
                .await
                .ok();
            trips.push(proxy.round_trips() - before);
        }
        assert_eq!(trips[3..], [parts; 3], "{version}: {trips:?}");
    }
    world.end().await;
}
