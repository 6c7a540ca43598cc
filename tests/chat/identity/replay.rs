//! Clocks and nonces.

use chrono::TimeDelta;
use serde_json::json;

use super::list;
use crate::world::{Person, World, at, now};

#[tokio::test]
async fn a_clock_may_be_off_by_at_most_the_window() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for (minutes, good) in [(-6, false), (-4, true), (0, true), (4, true), (6, false)] {
        let body =
            json!({ "action": "list", "timestamp": at(TimeDelta::minutes(minutes)) }).to_string();
        let answer = ann.sends("chatserver", "chatconversation", &body).await;
        if good {
            answer.ok();
        } else {
            answer.refused(401, "timestamp_out_of_range");
        }
    }
    ann.sends("chatserver", "chatconversation", r#"{"action":"list"}"#)
        .await
        .refused(400, "bad_request");
    world.end().await;
}

#[tokio::test]
async fn a_nonce_is_good_once_for_a_station_of_a_v4_client() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let second_device = ann.second_device().await;
    let asks = |version: i64, nonce: &str| {
        json!({ "action": "list", "clientversioncode": version, "timestamp": now(), "nonce": nonce }).to_string()
    };
    let send = async |person: &Person, body: &str| {
        person.sends("chatserver", "chatconversation", body).await
    };
    send(&ann, &asks(4, "once")).await.ok();
    send(&ann, &asks(4, "once")).await.refused(409, "replayed");
    send(&ann, &asks(4, "twice")).await.ok();
    send(&second_device, &asks(4, "once")).await.ok();
    send(&ben, &asks(4, "once")).await.ok();
    send(&ann, &asks(4, &"n".repeat(65)))
        .await
        .refused(400, "bad_request");
    // Version 3 requests have no nonce, and may be repeated byte for byte.
    let published = list();
    for _ in 0..2 {
        send(&ann, &published).await.ok();
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
        .refused(401, "signature_invalid");
    ann.sends("chatserver", "chatconversation", &body)
        .await
        .ok();
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
            .ok();
        ann.sends("chatserver", "chatconversation", &body)
            .await
            .refused(409, "replayed");
    }
    world.end().await;
}
