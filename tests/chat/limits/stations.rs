//! How many new stations a user may have in a day.

use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use super::with;
use crate::world::{Answer, Person};

async fn logs_in(person: &Person, station: &str) -> Answer {
    let body = json!({ "action": "login", "apikey": format!("the apikey of {}", person.name) });
    person
        .world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-Station", station)],
            &body.to_string(),
        )
        .await
}

#[tokio::test]
async fn new_stations_are_limited_by_the_day_also_if_they_come_at_once_and_known_ones_are_not() {
    let world = with(|limits| limits.new_stations = 5).await;
    let (ann, ben) = world.friends().await;
    let new: Vec<String> = (0..20)
        .map(|_| Uuid::new_v4().simple().to_string())
        .collect();
    let answers = join_all(new.iter().map(|station| logs_in(&ann, station))).await;
    let refused: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert_eq!(refused.len(), 16, "one is of her first login");
    for answer in refused {
        let refusal = answer.refused(429, "rate_limited");
        assert!(answer.headers.contains_key("Retry-After"));
        let sentence = refusal["errormessage"].as_str().unwrap();
        assert!(sentence.contains("new devices"), "{sentence}");
    }
    assert_eq!(
        world.count("stations where bound_at is not null").await,
        5 + 1,
        "hers and Ben's"
    );
    // Stations that have logged in before, and other users, are not concerned.
    logs_in(&ann, &ann.station).await.ok();
    ann.lists().await.ok();
    ben.second_device().await.lists().await.ok();
    // The station that was refused is none.
    let unknown = answers
        .iter()
        .position(|answer| answer.status != 200)
        .unwrap();
    let unknown = Person {
        station: new[unknown].clone(),
        ..ann.clone()
    };
    unknown.lists().await.refused(401, "unknown_station");
    world.sql("update quotas set day = day - 1").await;
    logs_in(&ann, &unknown.station).await.ok();
    world.end().await;
}
