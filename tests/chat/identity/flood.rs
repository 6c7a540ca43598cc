//! Invalid signatures are counted per address.

use chrono::TimeDelta;
use serde_json::json;

use crate::world::{Person, World, at, now};

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
            .refused(401, "signature_invalid");
    }
    let refused = asks("192.0.2.1", &ann.user, "AAAA").await;
    refused.refused(429, "rate_limited");
    assert!(refused.headers.contains_key("Retry-After"));
    // From there even a valid one is refused unchecked; everywhere else requests are served.
    asks("192.0.2.1", &ann.user, &good)
        .await
        .refused(429, "rate_limited");
    asks("192.0.2.2", &ann.user, &good).await.ok();
    ann.lists().await.ok();
    // Where she signed well a moment ago, her requests are examined still, however many bad ones come
    // from there, in her name or another: an office shares one address.
    for n in 0..60 {
        let user = if n % 2 == 0 { &ann.user } else { &unknown };
        let status = asks("192.0.2.2", user, "AAAA").await.status;
        assert!([401, 429].contains(&status), "{n}");
    }
    asks("192.0.2.2", &unknown, "AAAA")
        .await
        .refused(429, "rate_limited");
    asks("192.0.2.2", &ann.user, &good).await.ok();
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
        unknown.lists().await.refused(401, "unknown_station");
        ann.sends("chatserver", "chatconversation", &late)
            .await
            .refused(401, "timestamp_out_of_range");
        ann.does(
            "mute",
            &crate::world::Conversation {
                id: "0".repeat(32),
                instance: String::new(),
            },
            json!({}),
        )
        .await
        .refused(404, "conversation_not_found");
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
            .refused(401, "signature_invalid");
    }
    // Those of Ann, who signed well before, are examined still; nobody else's from there.
    world
        .sends("GET", &socket)
        .await
        .refused(401, "signature_invalid");
    let stranger = Person {
        user: "ab".repeat(16),
        ..ann.clone()
    };
    stranger.lists().await.refused(429, "rate_limited");
    ann.lists().await.ok();
    world.end().await;
}
