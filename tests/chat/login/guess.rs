//! Failed logins count against who made them: by user and address, and not against those who are
//! known.

use serde_json::json;
use uuid::Uuid;

use crate::world::{Answer, Person, World};

/// A server behind a proxy that tells the address.
pub(super) async fn world(tries: u32) -> std::sync::Arc<World> {
    World::with(|settings| {
        settings.login_tries = tries;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await
}

/// Logs in from an address, with a key, in the name of a user, from a station.
pub(super) async fn logs_in(
    world: &World,
    address: &str,
    apikey: &str,
    user: Option<&str>,
    station: &str,
) -> Answer {
    let mut headers = vec![("Ozeki-Station", station), ("X-Forwarded-For", address)];
    headers.extend(user.map(|user| ("Ozeki-User", user)));
    let body = json!({ "action": "login", "apikey": apikey }).to_string();
    world
        .posts("chatserver", "chatlogin", &headers, &body)
        .await
}

pub(super) fn new_station() -> String {
    Uuid::new_v4().simple().to_string()
}

pub(super) async fn signs_at(person: &Person, address: &str) -> Answer {
    let body = json!({ "action": "list", "timestamp": crate::world::now() }).to_string();
    let signature = person.signs("chatserver", "chatconversation", &body);
    let headers = [
        ("Ozeki-User", &*person.user),
        ("Ozeki-Station", &*person.station),
        ("Ozeki-Signature", &*signature),
        ("X-Forwarded-For", address),
    ];
    person
        .world
        .posts("chatserver", "chatconversation", &headers, &body)
        .await
}

#[tokio::test]
async fn a_strangers_failures_refuse_neither_the_owner_elsewhere_nor_a_known_station() {
    let world = world(3).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let key = "the apikey of Ann";
    let (victim, here, elsewhere) = (Some(&*ann.user), "192.0.2.1", "192.0.2.2");
    for _ in 0..3 {
        logs_in(&world, here, "wrong", victim, &new_station())
            .await
            .refused(401, "login_failed");
    }
    // At that address nobody unknown is examined in her name any more, not even with her key.
    logs_in(&world, here, key, victim, &new_station())
        .await
        .refused(429, "rate_limited");
    // Elsewhere she is, and where she shares the address, from a station that has logged in before.
    logs_in(&world, elsewhere, key, victim, &new_station())
        .await
        .ok();
    logs_in(&world, here, key, victim, &ann.station).await.ok();
    // A known station of somebody else is none of hers.
    logs_in(&world, here, key, victim, &ben.station)
        .await
        .refused(429, "rate_limited");
    // What a known station has for itself is limited, too.
    for _ in 0..3 {
        logs_in(&world, here, "wrong", victim, &ann.station)
            .await
            .refused(401, "login_failed");
    }
    logs_in(&world, here, key, victim, &ann.station)
        .await
        .refused(429, "rate_limited");
    // From where she signed well a moment ago, a new station of hers may log in.
    signs_at(&ann, here).await.ok();
    logs_in(&world, here, key, victim, &new_station())
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn a_user_who_is_guessed_at_from_everywhere_is_slowed_for_the_unknown_alone() {
    let world = world(10).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let key = "the apikey of Ann";
    signs_at(&ann, "192.0.2.200").await.ok();
    let victim = Some(&*ann.user);
    let mut statuses = vec![];
    for n in 0..110 {
        let address = format!("198.51.100.{n}");
        statuses.push(
            logs_in(&world, &address, "wrong", victim, &new_station())
                .await
                .status,
        );
    }
    let examined = statuses.iter().filter(|status| **status == 401).count();
    // A hundred an hour, and as many as have become free meanwhile.
    assert!((100..105).contains(&examined), "{examined}");
    let late = logs_in(&world, "203.0.113.1", "wrong", victim, &new_station()).await;
    late.refused(429, "rate_limited");
    // Her known station anywhere, and any station from where she signed, log in at once.
    logs_in(&world, "203.0.113.2", key, victim, &ann.station)
        .await
        .ok();
    logs_in(&world, "192.0.2.200", key, victim, &new_station())
        .await
        .ok();
    // Nobody else is slowed.
    logs_in(
        &world,
        "203.0.113.1",
        "the apikey of Ben",
        Some(&ben.user),
        &new_station(),
    )
    .await
    .ok();
    world.end().await;
}

#[tokio::test]
async fn who_knows_a_station_of_the_user_cannot_guess_without_end_either() {
    let world = world(1).await;
    let ann = world.person("Ann").await;
    signs_at(&ann, "192.0.2.200").await.ok();
    let victim = Some(&*ann.user);
    let mut examined = 0;
    for n in 0..215 {
        let answer = logs_in(
            &world,
            &format!("198.51.100.{n}"),
            "wrong",
            victim,
            &ann.station,
        )
        .await;
        examined += u32::from(answer.status == 401);
    }
    // A hundred as anybody, and a hundred with the station.
    assert!((200..205).contains(&examined), "{examined}");
    // She logs in where she has signed.
    let key = "the apikey of Ann";
    logs_in(&world, "192.0.2.200", key, victim, &new_station())
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn guesses_that_name_no_user_are_limited_in_all_and_known_stations_are_not() {
    let world = world(1).await;
    let ann = world.person("Ann").await;
    let key = "the apikey of Ann";
    let mut statuses = vec![];
    for n in 0..120 {
        let address = format!("198.51.100.{n}");
        statuses.push(
            logs_in(&world, &address, "wrong", None, &new_station())
                .await
                .status,
        );
    }
    let examined = statuses.iter().filter(|status| **status == 401).count();
    assert!((100..115).contains(&examined), "{examined}");
    logs_in(&world, "203.0.113.1", key, None, &ann.station)
        .await
        .ok();
    // Who names the user is counted for that user.
    logs_in(&world, "203.0.113.1", key, Some(&ann.user), &new_station())
        .await
        .ok();
    world.end().await;
}
