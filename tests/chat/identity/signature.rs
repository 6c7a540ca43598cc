//! A signature is valid for one body, one API, one station and one user.

use serde_json::json;

use super::list;
use crate::world::{Person, World, eventually};

#[tokio::test]
async fn a_signed_request_is_answered_under_each_path_and_whatever_its_content_type() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let body = list();
    let http = reqwest::Client::new();
    for path in ["/", "/index.php", "/ozeki/index.php"] {
        for (query, content_type) in [
            ("srv=chatserver&api=chatconversation", "application/json"),
            ("api=chatconversation&srv=chatserver", "text/plain"),
        ] {
            let answer = http
                .post(format!("{}{path}?{query}", world.url))
                .header("Ozeki-User", &ann.user)
                .header("Ozeki-Station", &ann.station)
                .header(
                    "Ozeki-Signature",
                    ann.signs("chatserver", "chatconversation", &body),
                )
                .header("Content-Type", content_type)
                .body(body.clone())
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), 200, "{path} {query}");
            assert_eq!(answer.headers()["Content-Type"], "application/json");
            assert_eq!(answer.headers()["X-Content-Type-Options"], "nosniff");
            assert_eq!(answer.headers()["X-Request-Id"].len(), 32);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn a_request_without_headers_has_no_sender() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let body = list();
    let signature = ann.signs("chatserver", "chatconversation", &body);
    let all = [
        ("Ozeki-User", ann.user.as_str()),
        ("Ozeki-Station", &ann.station),
        ("Ozeki-Signature", &signature),
    ];
    for missing in 0..all.len() {
        let headers: Vec<_> = all
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != missing)
            .map(|(_, header)| *header)
            .collect();
        world
            .posts("chatserver", "chatconversation", &headers, &body)
            .await
            .refused(401, "signature_missing");
    }
    for wrong in [0, 1] {
        let mut headers = all;
        headers[wrong].1 = "zz";
        world
            .posts("chatserver", "chatconversation", &headers, &body)
            .await
            .refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn a_signature_is_good_for_one_body_one_api_one_station_and_one_user() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let second_device = ann.second_device().await;
    let body = list();
    let signature = ann.signs("chatserver", "chatconversation", &body);
    let mut flipped = signature.clone().into_bytes();
    flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let stranger = "0".repeat(32);
    for (user, station, signature, body) in [
        (&ann.user, &ann.station, &flipped, &body),
        (&ann.user, &ann.station, &"no base64!".to_owned(), &body),
        (&ann.user, &ann.station, &String::from("AAAA"), &body),
        (
            &ann.user,
            &ann.station,
            &signature,
            &body.replace("list", "list "),
        ),
        (&ann.user, &second_device.station, &signature, &body),
        (&ben.user, &ann.station, &signature, &body),
        (&stranger, &ann.station, &signature, &body),
    ] {
        let headers = [
            ("Ozeki-User", user.as_str()),
            ("Ozeki-Station", station),
            ("Ozeki-Signature", signature),
        ];
        // A changed body may no longer have a valid action, which is then the refusal.
        let body = body.replace(
            "list ",
            "mute\",\"conversationid\":\"00000000000000000000000000000000",
        );
        world
            .posts("chatserver", "chatconversation", &headers, &body)
            .await
            .refused(401, "signature_invalid");
    }
    let headers = [
        ("Ozeki-User", ann.user.as_str()),
        ("Ozeki-Station", &ann.station),
        ("Ozeki-Signature", &signature),
    ];
    world
        .posts("chatserver", "chatfriends", &headers, &body)
        .await
        .refused(401, "signature_invalid");
    world
        .posts("chatserver", "chatconversation", &headers, &body)
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn a_station_is_known_once_its_user_has_logged_in_there() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let new = Person {
        station: "ab".repeat(16),
        ..ann.clone()
    };
    new.lists().await.refused(401, "unknown_station");
    // Another user's login at the station does not make it known for this one.
    let bens = Person {
        station: new.station.clone(),
        ..ben
    };
    bens.logs_in().await;
    new.lists().await.refused(401, "unknown_station");
    new.logs_in().await;
    new.lists().await.ok();
    world.end().await;
}

#[tokio::test]
async fn disabling_and_enabling_a_user_take_effect_at_once() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let asks = async || ann.lists().await;
    asks().await.ok();
    assert!(world.sets_disabled(&ann, true).await);
    eventually("the ban", async || asks().await.status == 403).await;
    asks().await.refused(403, "not_allowed");
    let login = json!({ "action": "login", "apikey": "the apikey of Ann" }).to_string();
    world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-Station", &ann.station)],
            &login,
        )
        .await
        .refused(401, "login_failed");
    world.sets_disabled(&ann, false).await;
    eventually("the end of the ban", async || asks().await.status == 200).await;
    world.end().await;
}

#[tokio::test]
async fn a_station_that_is_used_counts_as_seen() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let seen = async || -> bool {
        sqlx::query_scalar("select last_seen_at > now() - interval '1 minute' from stations")
            .fetch_one(&world.db)
            .await
            .unwrap()
    };
    world
        .sql("update stations set last_seen_at = now() - interval '2 hours'")
        .await;
    assert!(!seen().await);
    ann.lists().await.ok();
    assert!(seen().await);
    world
        .sql("update stations set last_seen_at = now() - interval '2 hours'")
        .await;
    ann.logs_in().await;
    assert!(seen().await);
    world.end().await;
}
