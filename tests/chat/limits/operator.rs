//! Limits of single users, and of service users.

use parlance::store::user_limits::{self, Own};
use parlance_wire::{id::UserId, time::Timestamp};
use serde_json::json;

use super::{is_used_up, with};
use crate::{
    account::operator::Commands,
    world::{Person, World, eventually, operator},
};

async fn sets(world: &World, person: &Person, limits: Option<&Own>) {
    let user = UserId::parse(&person.user).unwrap();
    let by = operator();
    let done = user_limits::change(&world.store, user, limits, &by, Timestamp::now());
    assert!(done.await.unwrap());
}

#[tokio::test]
async fn an_operator_allows_one_user_more_and_every_node_learns_of_it() {
    let world = with(|limits| limits.friend_requests = 1).await;
    let other = world
        .another_with(|settings| settings.per_user.friend_requests = 1)
        .await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let there = Person {
        world: other.clone(),
        ..ann.clone()
    };
    // Both nodes have read her limits.
    for person in [&ann, &there] {
        person.lists().await.ok();
    }
    ann.requests_friendship(&ben).await.ok();
    is_used_up(&there.requests_friendship(&ben).await, "1", 86_400);
    let own = Own {
        friend_requests: Some(4),
        ..Own::default()
    };
    sets(&world, &ann, Some(&own)).await;
    for person in [&ann, &there] {
        eventually("she may ask more", async || {
            person.requests_friendship(&ben).await.status == 200
        })
        .await;
    }
    // Others may not.
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    ben.requests_friendship(&cleo).await.ok();
    is_used_up(&ben.requests_friendship(&dan).await, "1", 86_400);
    sets(&world, &ann, None).await;
    eventually("the usual limit holds again", async || {
        there.requests_friendship(&ben).await.status == 429
    })
    .await;
    other.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_service_user_may_do_ten_times_as_much() {
    let world = with(|limits| limits.presence_changes = 1).await;
    let (ann, bot) = (world.person("Ann").await, world.person("Bot").await);
    // As `parlance user apikey` adds it: without a password.
    world
        .sql(&format!(
            "update credentials set kind = 'apikey' where user_id = '{}'",
            bot.user
        ))
        .await;
    for n in 0..10 {
        let answer = bot.sets_availability("useraway").await;
        assert_eq!(answer.status, 200, "{n}");
    }
    is_used_up(&bot.sets_availability("useraway").await, "10", 60);
    ann.sets_availability("useraway").await.ok();
    is_used_up(&ann.sets_availability("useraway").await, "1", 60);
    world.end().await;
}

#[tokio::test]
async fn the_command_shows_limits_and_what_is_used_up_and_changes_them() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "0123456789").await;
    let commands = Commands::of(&world);
    let user = "ann@example.org";
    let shown = commands.json(&["user", "limits", user]);
    assert_eq!(
        (
            &shown["messages"],
            &shown["storedbytes"],
            &shown["newconversations"]
        ),
        (
            &json!({ "most": 3000, "own": false }),
            &json!({ "most": 4_294_967_296_i64, "own": false, "used": 210 }),
            &json!({ "most": 100, "own": false, "used": 1 }),
        )
    );
    let changed = commands.json(&[
        "user",
        "limits",
        user,
        "--messages",
        "5",
        "--stored-bytes",
        "1000",
    ]);
    assert_eq!(
        (&changed["messages"], &changed["storedbytes"]["most"]),
        (&json!({ "most": 5, "own": true }), &json!(1000))
    );
    // What is not named stays.
    let changed = commands.json(&["user", "limits", user, "--conversations", "7"]);
    assert_eq!(
        (
            &changed["messages"]["most"],
            &changed["conversations"]["most"]
        ),
        (&json!(5), &json!(7))
    );
    assert!(
        commands
            .text(&["user", "limits", user])
            .contains("5 messages a minute, this user's own limit")
    );
    // Her clients learn it at the login.
    let login = json!({ "action": "login", "apikey": "the apikey of Ann", "clientversioncode": 4 });
    let headers = [("Ozeki-Station", ann.station.as_str())];
    let told = world
        .posts("chatserver", "chatlogin", &headers, &login.to_string())
        .await
        .ok();
    assert_eq!(told["limits"]["conversations"], 7);
    assert_eq!(told["limits"]["newconversations"], 100);
    // It is data of hers, so an export has it.
    let export = async |person: &Person| {
        person
            .asks_as(4, "chatlogin", json!({ "action": "export" }))
            .await
            .ok()["account"]["limits"]
            .clone()
    };
    assert_eq!(
        export(&ann).await,
        json!({ "messages": 5, "storedbytes": 1000, "conversations": 7 })
    );
    assert_eq!(export(&ben).await, serde_json::Value::Null);
    // Whatever can be set.
    let all = Own {
        messages: Some(1),
        message_bytes: Some(1),
        stored_bytes: Some(1),
        conversations: Some(1),
        new_conversations: Some(1),
        friend_requests: Some(1),
        lookups: Some(1),
        presence_changes: Some(1),
        changes: Some(1),
        own_changes: Some(1),
        epoch_secrets: Some(1),
        new_stations: Some(1),
        file_bytes: Some(1),
        file_quota: Some(1),
    };
    sets(&world, &ben, Some(&all)).await;
    assert_eq!(export(&ben).await.as_object().unwrap().len(), 14);
    sets(&world, &ben, None).await;
    let bens = commands.json(&["user", "limits", "ben@example.org"]);
    assert_eq!(bens["messages"]["own"], json!(false));
    let usual = commands.json(&["user", "limits", user, "--default"]);
    assert_eq!(usual, shown);
    world.end().await;
}
