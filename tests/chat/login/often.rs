//! How often one key logs in.

use std::time::Duration;

use super::guess::{logs_in, new_station};
use crate::world::World;

#[tokio::test]
async fn who_has_a_key_cannot_log_in_without_end_and_its_owner_goes_on() {
    let world = World::with(|settings| {
        settings.logins = 3;
        settings.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let key = "the apikey of Ann";
    let (here, elsewhere) = ("192.0.2.1", "192.0.2.2");
    let thief = new_station();
    // Naming the user makes no difference, nor does failing in between.
    logs_in(&world, here, key, None, &thief).await.ok();
    logs_in(&world, here, key, Some(&ann.user), &thief)
        .await
        .ok();
    logs_in(&world, here, "wrong", None, &thief)
        .await
        .refused(401, "login_failed");
    logs_in(&world, here, key, None, &thief).await.ok();
    for station in [new_station(), new_station()] {
        let answer = logs_in(&world, here, key, None, &station).await;
        answer.refused(429, "rate_limited");
        assert!(answer.headers.contains_key("Retry-After"));
    }
    // Ann goes on from elsewhere, and there from a station that has logged in before, which is limited as well.
    logs_in(&world, elsewhere, key, None, &new_station())
        .await
        .ok();
    for _ in 0..3 {
        logs_in(&world, here, key, Some(&ann.user), &ann.station)
            .await
            .ok();
    }
    logs_in(&world, here, key, Some(&ann.user), &ann.station)
        .await
        .refused(429, "rate_limited");
    // Others share the address.
    logs_in(&world, here, "the apikey of Ben", None, &ben.station)
        .await
        .ok();
    world.clock.advance(Duration::from_mins(1));
    logs_in(&world, here, key, None, &thief).await.ok();
    world.end().await;
}
