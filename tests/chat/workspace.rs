//! Workspaces: host names, each registered for one user.

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::json;

use crate::world::{Answer, Hold, Person, World, at};

async fn registers(person: &Person, name: &str) -> Answer {
    person
        .sends(
            "chatowner",
            "workspace",
            &json!({ "action": "workspaceregister", "workspacename": name }).to_string(),
        )
        .await
}

#[tokio::test]
async fn a_workspace_belongs_to_the_first_user_who_registers_it() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let ann = Person {
        station: String::new(),
        ..ann
    };
    for _ in 0..2 {
        registers(&ann, "ann.example.chat").await.ok();
    }
    registers(&ben, "ann.example.chat")
        .await
        .refused(409, "already_exists");
    registers(&ben, "ben.example.chat").await.ok();
    for name in [
        "",
        "a b",
        "-a.b",
        "a..b",
        "UPPER.case",
        "a_b",
        &"a".repeat(64),
        "a\0",
        "192.0.2.1",
        "xn--a.example",
    ] {
        registers(&ann, name).await.refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn of_several_concurrent_registrations_one_succeeds() {
    let world = World::new().await;
    let people = [
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
    ];
    let answers = futures_util::future::join_all(
        people
            .iter()
            .map(|person| registers(person, "all.example.chat")),
    )
    .await;
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 200).count(),
        1
    );
    assert_eq!(
        answers.iter().filter(|answer| answer.status == 409).count(),
        2
    );
    world.end().await;
}

#[tokio::test]
async fn a_workspace_asks_for_neither_station_nor_timestamp_but_checks_them() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let unknown = Person {
        station: "cd".repeat(16),
        ..ann.clone()
    };
    registers(&unknown, "a.example")
        .await
        .refused(401, "unknown_station");
    let late = json!({ "action": "workspaceregister", "workspacename": "a.example", "timestamp": at(chrono::TimeDelta::hours(-1)) });
    ann.sends("chatowner", "workspace", &late.to_string())
        .await
        .refused(401, "timestamp_out_of_range");
    world
        .posts(
            "chatowner",
            "workspace",
            &[("Ozeki-User", &ann.user)],
            &late.to_string(),
        )
        .await
        .refused(401, "signature_missing");
    assert_eq!(world.count("workspaces").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_user_has_at_most_a_hundred_workspaces() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for n in 0..100 {
        registers(&ann, &format!("w{n}.example")).await.ok();
    }
    registers(&ann, "w100.example")
        .await
        .refused(403, "not_allowed");
    registers(&ann, "w5.example").await.ok();
    world.end().await;
}

#[tokio::test]
async fn registrations_of_workspaces_count_among_the_requests_of_a_user() {
    let world = World::with(|settings| settings.requests_per_user = 1).await;
    let ann = world.person("Ann").await;
    let hold = Hold::by(
        &world,
        &format!(
            "select from users where user_id = '{}' for update",
            ann.user
        ),
    )
    .await;
    let names: Vec<String> = (0..5).map(|n| format!("w{n}.example.chat")).collect();
    let mut answers: FuturesUnordered<_> = names.iter().map(|name| registers(&ann, name)).collect();
    // One is in progress, and three wait.
    answers.next().await.unwrap().refused(429, "rate_limited");
    hold.ends().await;
    while let Some(answer) = answers.next().await {
        answer.ok();
    }
    world.end().await;
}
