//! Who is asking: signatures, stations, clocks, nonces, and what the wire says of requests that are none.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;

use crate::world::{Person, World, at, eventually, now};

fn list() -> String {
    json!({ "action": "list", "clientversioncode": 3, "timestamp": now() }).to_string()
}

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
async fn without_its_headers_a_request_is_of_nobody() {
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
            .is_refused(401, "signature_missing");
    }
    for wrong in [0, 1] {
        let mut headers = all;
        headers[wrong].1 = "zz";
        world
            .posts("chatserver", "chatconversation", &headers, &body)
            .await
            .is_refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn a_signature_is_good_for_one_body_one_api_one_station_and_one_user() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let elsewhere = ann.elsewhere().await;
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
        (&ann.user, &elsewhere.station, &signature, &body),
        (&ben.user, &ann.station, &signature, &body),
        (&stranger, &ann.station, &signature, &body),
    ] {
        let headers = [
            ("Ozeki-User", user.as_str()),
            ("Ozeki-Station", station),
            ("Ozeki-Signature", signature),
        ];
        // A body that is changed may no longer name an action: then that is said.
        let body = body.replace(
            "list ",
            "mute\",\"conversationid\":\"00000000000000000000000000000000",
        );
        world
            .posts("chatserver", "chatconversation", &headers, &body)
            .await
            .is_refused(401, "signature_invalid");
    }
    let headers = [
        ("Ozeki-User", ann.user.as_str()),
        ("Ozeki-Station", &ann.station),
        ("Ozeki-Signature", &signature),
    ];
    world
        .posts("chatserver", "chatfriends", &headers, &body)
        .await
        .is_refused(401, "signature_invalid");
    world
        .posts("chatserver", "chatconversation", &headers, &body)
        .await
        .is_ok();
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
    new.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_refused(401, "unknown_station");
    // Another user's login there says nothing of this one's.
    let bens = Person {
        station: new.station.clone(),
        ..ben
    };
    bens.logs_in().await;
    new.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_refused(401, "unknown_station");
    new.logs_in().await;
    new.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    world.end().await;
}

#[tokio::test]
async fn a_clock_may_be_off_by_the_window_and_no_more() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for (minutes, good) in [(-6, false), (-4, true), (0, true), (4, true), (6, false)] {
        let body =
            json!({ "action": "list", "timestamp": at(TimeDelta::minutes(minutes)) }).to_string();
        let answer = ann.sends("chatserver", "chatconversation", &body).await;
        if good {
            answer.is_ok();
        } else {
            answer.is_refused(401, "timestamp_out_of_range");
        }
    }
    ann.sends("chatserver", "chatconversation", r#"{"action":"list"}"#)
        .await
        .is_refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn a_nonce_is_good_once_for_a_station_of_a_v4_client() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let elsewhere = ann.elsewhere().await;
    let asks = |version: i64, nonce: &str| {
        json!({ "action": "list", "clientversioncode": version, "timestamp": now(), "nonce": nonce }).to_string()
    };
    let send = async |person: &Person, body: &str| {
        person.sends("chatserver", "chatconversation", body).await
    };
    send(&ann, &asks(4, "once")).await.is_ok();
    send(&ann, &asks(4, "once"))
        .await
        .is_refused(409, "replayed");
    send(&ann, &asks(4, "twice")).await.is_ok();
    send(&elsewhere, &asks(4, "once")).await.is_ok();
    send(&ben, &asks(4, "once")).await.is_ok();
    send(&ann, &asks(4, &"n".repeat(65)))
        .await
        .is_refused(400, "bad_request");
    // Published requests carry none and repeat byte for byte.
    let published = list();
    for _ in 0..2 {
        send(&ann, &published).await.is_ok();
    }
    world.end().await;
}

#[tokio::test]
async fn a_nonce_of_a_request_with_a_bad_signature_is_not_used_up() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let body =
        json!({ "action": "list", "clientversioncode": 4, "timestamp": now(), "nonce": "mine" })
            .to_string();
    let forged = Person {
        key: ben.key.clone(),
        ..ann.clone()
    };
    forged
        .sends("chatserver", "chatconversation", &body)
        .await
        .is_refused(401, "signature_invalid");
    ann.sends("chatserver", "chatconversation", &body)
        .await
        .is_ok();
    world.end().await;
}

#[tokio::test]
async fn a_disabled_user_is_barred_at_once_and_let_in_again_at_once() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let asks = async || {
        ann.asks("chatconversation", json!({ "action": "list" }))
            .await
    };
    asks().await.is_ok();
    let user = parlance_wire::id::UserId::parse(&ann.user).unwrap();
    let now = parlance_wire::time::Timestamp::now();
    assert!(
        parlance::store::user::set_disabled(&world.store, user, Some(now))
            .await
            .unwrap()
    );
    eventually("the ban", async || asks().await.status == 403).await;
    asks().await.is_refused(403, "not_allowed");
    let login = json!({ "action": "login", "apikey": "the apikey of Ann" }).to_string();
    world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-Station", &ann.station)],
            &login,
        )
        .await
        .is_refused(401, "login_failed");
    parlance::store::user::set_disabled(&world.store, user, None)
        .await
        .unwrap();
    eventually("the end of the ban", async || asks().await.status == 200).await;
    world.end().await;
}

#[tokio::test]
async fn what_is_no_request_to_an_api_is_told_so() {
    let world = World::new().await;
    for (method, path, status, code) in [
        (
            "GET",
            "/?srv=chatserver&api=chatconversation",
            405,
            "method_not_allowed",
        ),
        (
            "PUT",
            "/index.php?srv=chatserver&api=chatlogin",
            405,
            "method_not_allowed",
        ),
        (
            "DELETE",
            "/ozeki/index.php?srv=chatowner&api=workspace",
            405,
            "method_not_allowed",
        ),
        ("POST", "/?srv=chatserver&api=nothing", 404, "unknown_api"),
        (
            "POST",
            "/?srv=chatowner&api=chatconversation",
            404,
            "unknown_api",
        ),
        (
            "POST",
            "/?srv=chatserver&srv=chatserver&api=chatconversation",
            404,
            "unknown_api",
        ),
        ("POST", "/", 404, "unknown_api"),
        ("GET", "/", 404, "unknown_api"),
        ("GET", "/elsewhere", 404, "unknown_api"),
        ("GET", "/%00/../etc/passwd", 404, "unknown_api"),
    ] {
        world.sends(method, path).await.is_refused(status, code);
    }
    for (api, body) in [
        ("chatconversation", r#"{"action":"nothing"}"#),
        ("chatlogin", r#"{"action":"list"}"#),
    ] {
        world
            .posts("chatserver", api, &[], body)
            .await
            .is_refused(404, "unknown_action");
    }
    for body in [
        "",
        "x",
        "null",
        "[]",
        r#"["list"]"#,
        "\"list\"",
        "{",
        r#"{"action":"list"} x"#,
        r#"{"action":5}"#,
        "{}",
        r#"{"action":"list","action":"list"}"#,
        "\u{feff}{}",
        r#"{"action":"list","clientversioncode":"3"}"#,
        r#"{"action":"list","timestamp":"yesterday"}"#,
    ] {
        let refusal = world
            .posts("chatserver", "chatconversation", &[], body)
            .await
            .is_refused(400, "bad_request");
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(
            !["i64", "string", "map", "sequence", "?"]
                .iter()
                .any(|word| sentence.contains(word)),
            "no sentence for a person: {sentence}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_however_it_is_sent() {
    let world = World::with(|settings| settings.max_body_bytes = 2048).await;
    let large = format!(r#"{{"action":"list","x":"{}"}}"#, "x".repeat(4000));
    let sentence = world
        .posts("chatserver", "chatconversation", &[], &large)
        .await
        .is_refused(413, "too_large");
    assert!(sentence["errormessage"].as_str().unwrap().contains("2048"));
    world
        .posts("chatserver", "chatconversation", &[], &large[..2000])
        .await
        .is_refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn deep_nonsense_does_not_stop_the_server() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let deep = format!(
        r#"{{"action":"list","timestamp":"{}","x":{}{}}}"#,
        now(),
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    // Unknown fields are ignored, whatever is in them; known ones are not.
    ann.sends("chatserver", "chatconversation", &deep)
        .await
        .is_ok();
    ann.sends(
        "chatserver",
        "chatconversation",
        &deep.replace("list", "add").replace("\"x\"", "\"message\""),
    )
    .await
    .is_refused(400, "bad_request");
    let binary = r#"{"action":"list","x":"#.to_owned() + "\u{0}" + "}";
    ann.sends("chatserver", "chatconversation", &binary)
        .await
        .is_refused(400, "bad_request");
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    world.end().await;
}

#[tokio::test]
async fn health_and_readiness_are_told_to_anyone() {
    let world = World::new().await;
    for path in ["/healthz", "/readyz"] {
        let answer = world.sends("GET", path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    }
    // A newer Parlance has migrated the database under this one: it stays ready. An older state is not.
    world.sql("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await;
    eventually("the next look", async || {
        world.sends("GET", "/readyz").await.status == 503
    })
    .await;
    assert_eq!(world.sends("GET", "/healthz").await.status, 200);
    world.stop().await;
    let refused = reqwest::Client::new()
        .get(format!("{}/healthz", world.url))
        .timeout(Duration::from_secs(5))
        .send()
        .await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_flood_of_bad_signatures_costs_its_own_address_and_nobody_else() {
    let world = World::with(|settings| {
        settings.bad_signatures = 20;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let ann = world.person("Ann").await;
    let body = json!({ "action": "list", "timestamp": now() }).to_string();
    let good = ann.signs("chatserver", "chatconversation", &body);
    let asks = async |address: &str, user: &str, signature: &str| {
        let headers = [
            ("Ozeki-User", user),
            ("Ozeki-Station", &ann.station),
            ("Ozeki-Signature", signature),
            ("X-Forwarded-For", address),
        ];
        world
            .posts("chatserver", "chatconversation", &headers, &body)
            .await
    };
    let unknown = "ab".repeat(16);
    for n in 0..20 {
        let user = if n % 2 == 0 { &ann.user } else { &unknown };
        asks("192.0.2.1", user, "AAAA")
            .await
            .is_refused(401, "signature_invalid");
    }
    let refused = asks("192.0.2.1", &ann.user, "AAAA").await;
    refused.is_refused(429, "rate_limited");
    assert!(refused.headers.contains_key("Retry-After"));
    // Not even a good one is looked at from there; everywhere else all is well.
    asks("192.0.2.1", &ann.user, &good)
        .await
        .is_refused(429, "rate_limited");
    asks("192.0.2.2", &ann.user, &good).await.is_ok();
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    world.end().await;
}

#[tokio::test]
async fn only_signatures_that_do_not_fit_are_counted_and_those_of_sockets_too() {
    let world = World::with(|settings| {
        settings.bad_signatures = 3;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let ann = world.person("Ann").await;
    let unknown = Person {
        station: "ab".repeat(16),
        ..ann.clone()
    };
    let late = json!({ "action": "list", "timestamp": at(TimeDelta::hours(-1)) }).to_string();
    for _ in 0..5 {
        unknown
            .asks("chatconversation", json!({ "action": "list" }))
            .await
            .is_refused(401, "unknown_station");
        ann.sends("chatserver", "chatconversation", &late)
            .await
            .is_refused(401, "timestamp_out_of_range");
        ann.does(
            "mute",
            &crate::world::Talk {
                id: "0".repeat(32),
                instance: String::new(),
            },
            json!({}),
        )
        .await
        .is_refused(404, "conversation_not_found");
    }
    let socket = format!(
        "/ws?user={}&station={}&timestamp={}&signature=AAAA",
        ann.user,
        ann.station,
        now().replace(' ', "%20")
    );
    for _ in 0..3 {
        world
            .sends("GET", &socket)
            .await
            .is_refused(401, "signature_invalid");
    }
    world
        .sends("GET", &socket)
        .await
        .is_refused(429, "rate_limited");
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_refused(429, "rate_limited");
    world.end().await;
}

#[tokio::test]
async fn the_window_of_clocks_is_the_configured_one() {
    for (window, good) in [(TimeDelta::minutes(1), false), (TimeDelta::hours(2), true)] {
        let world = World::with(|settings| settings.signature_window = window).await;
        let ann = world.person("Ann").await;
        for minutes in [-3, 3] {
            let body = json!({ "action": "list", "timestamp": at(TimeDelta::minutes(minutes)) })
                .to_string();
            let answer = ann.sends("chatserver", "chatconversation", &body).await;
            assert_eq!(answer.status, if good { 200 } else { 401 }, "{answer:?}");
        }
        world.end().await;
    }
}

#[tokio::test]
async fn a_nonce_may_have_64_characters_of_any_kind() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for nonce in ["n".repeat(64), "é".repeat(64)] {
        let body =
            json!({ "action": "list", "clientversioncode": 4, "timestamp": now(), "nonce": nonce })
                .to_string();
        ann.sends("chatserver", "chatconversation", &body)
            .await
            .is_ok();
        ann.sends("chatserver", "chatconversation", &body)
            .await
            .is_refused(409, "replayed");
    }
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
    ann.asks("chatconversation", json!({ "action": "list" }))
        .await
        .is_ok();
    assert!(seen().await);
    world
        .sql("update stations set last_seen_at = now() - interval '2 hours'")
        .await;
    ann.logs_in().await;
    assert!(seen().await);
    world.end().await;
}
