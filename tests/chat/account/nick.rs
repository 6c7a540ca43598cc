//! Nicks that look alike are marked wherever a user could take one for another.

use serde_json::{Value, json};

use super::register;
use crate::world::{Person, World};

/// The marked names in a v4 client's lists of friends and of requests.
async fn marked(person: &Person) -> Vec<String> {
    let list = person
        .asks_as(4, "chatfriends", json!({ "action": "list" }))
        .await
        .ok();
    let of = |key: &str| list[key].as_array().unwrap().clone();
    let mut names: Vec<String> = of("availabilities")
        .into_iter()
        .chain(of("requests"))
        .filter(|friend| friend["alike"] == true)
        .map(|friend| friend["friendname"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_nick_that_looks_like_anothers_is_marked_and_so_is_the_other() {
    let world = World::new().await;
    let (ann, boss) = (world.person("Ann").await, world.person("Boss").await);
    ann.befriends(&boss).await;
    assert_eq!(marked(&ann).await, Vec::<String>::new());
    let mut request = json!({
        "action": "register", "email": "mallory@example.org", "fullname": "Mallory", "nick": "Воss",
        "apikey": "the apikey of Mallory", "publickey": crate::world::public_key(&crate::world::key("Mallory")),
        "rsakey": "opaque",
    });
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
        .ok();
    // A friend is marked even if the reader does not know the other user.
    assert_eq!(marked(&ann).await, ["Boss"]);
    let mallory = world.person("Mallory").await;
    mallory.requests_friendship(&ann).await.ok();
    assert_eq!(marked(&ann).await, ["Boss", "Воss"]);
    // A version 3 client gets its list as published.
    let published = ann.lists_friends().await.ok();
    assert_eq!(published["availabilities"][0].get("alike"), None::<&Value>);
    // Invisible characters are refused.
    request["nick"] = "Bo\u{200b}ss".into();
    request["email"] = "eve@example.org".into();
    world
        .posts("chatserver", "chatlogin", &[], &request.to_string())
        .await
        .refused(400, "bad_request");
    register(&world, "Cleo", None).await.ok();
    world.end().await;
}

#[tokio::test]
async fn nicks_of_users_whom_an_older_version_stored_are_compared_after_the_start() {
    let world = World::new().await;
    let (ann, boss) = (world.person("Ann").await, world.person("Boss").await);
    ann.befriends(&boss).await;
    let _ = world.person("B0ss").await;
    world.sql("update users set nick_skeleton = null").await;
    assert_eq!(marked(&ann).await, Vec::<String>::new());
    let later = world.another().await;
    let ann = Person {
        world: later.clone(),
        ..ann
    };
    assert_eq!(marked(&ann).await, ["Boss"]);
    later.stop().await;
    world.end().await;
}
