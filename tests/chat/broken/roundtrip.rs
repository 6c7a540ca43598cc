//! Counts round trips to the database on the wire.

use serde_json::{Value, json};
use uuid::Uuid;

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

#[tokio::test]
async fn who_is_not_there_takes_as_many_round_trips_as_who_does_not_answer() {
    let (world, proxy) = behind_a_proxy(still).await;
    let ann = world.person("Ann").await;
    let nobody = || Uuid::new_v4().simple().to_string();
    let trips_of = async |id: &str| {
        let mut trips = vec![];
        // The first and the second time.
        for (api, action, field) in [
            ("chatfriends", "add", "friendid"),
            ("chatfriends", "add", "friendid"),
            ("chatfriends", "remove", "friendid"),
            ("chatfriends", "remove", "friendid"),
            ("chatblocklist", "block", "userid"),
            ("chatblocklist", "unblock", "userid"),
        ] {
            let before = proxy.round_trips();
            ann.asks(api, json!({ "action": action, field: id }))
                .await
                .ok();
            trips.push(proxy.round_trips() - before);
        }
        trips
    };
    // The first ones on each connection also prepare the statements, so the fewest count.
    let fewest = async |ids: Vec<String>| {
        let mut fewest = trips_of(&ids[0]).await;
        for id in &ids[1..] {
            for (fewest, trips) in fewest.iter_mut().zip(trips_of(id).await) {
                *fewest = trips.min(*fewest);
            }
        }
        fewest
    };
    let (mut silent, mut blocking) = (vec![], vec![]);
    for n in 0..4 {
        silent.push(world.person(&format!("Silent{n}")).await.user);
        let shy = world.person(&format!("Shy{n}")).await;
        shy.blocks(&ann).await.ok();
        blocking.push(shy.user);
    }
    let silent = fewest(silent).await;
    assert_eq!(fewest(blocking).await, silent, "who has blocked her");
    let absent = (0..4).map(|_| nobody()).collect();
    assert_eq!(fewest(absent).await, silent, "nobody");
    world.end().await;
}

#[tokio::test]
async fn a_login_takes_as_many_round_trips_whoever_it_names() {
    let (world, proxy) = behind_a_proxy(|settings| {
        still(settings);
        settings.login_tries = 1000;
    })
    .await;
    let ann = world.person("Ann").await;
    let fewest = async |user: &str, body: Value| {
        let headers = [("Ozeki-User", user), ("Ozeki-Station", &*ann.station)];
        let mut fewest = (0, usize::MAX);
        for _ in 0..8 {
            let before = proxy.round_trips();
            let answer = world
                .posts("chatserver", "chatlogin", &headers, &body.to_string())
                .await;
            fewest = (answer.status, fewest.1.min(proxy.round_trips() - before));
        }
        fewest
    };
    let prelogin =
        |email: &str| json!({ "action": "prelogin", "email": email, "clientversioncode": 4 });
    let wrong = json!({ "action": "login", "apikey": "wrong" });
    let nobody = Uuid::new_v4().simple().to_string();
    for (user, body, status) in [
        (&ann.user, prelogin("ann@example.org"), 200),
        (&ann.user, prelogin("nobody@example.org"), 200),
        (&ann.user, wrong.clone(), 401),
        (&nobody, wrong, 401),
    ] {
        assert_eq!(fewest(user, body.clone()).await, (status, 1), "{body}");
    }
    world.end().await;
}
