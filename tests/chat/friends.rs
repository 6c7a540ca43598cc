//! Friendships: two users are friends once both have requested it.

use serde_json::{Value, json};

use crate::world::{Changes, Person, World};

async fn asks(person: &Person, action: &str, other: &Person) -> u16 {
    person
        .asks(
            "chatfriends",
            json!({ "action": action, "friendid": other.user }),
        )
        .await
        .status
}

/// The friends of a user, and the users who wait for their answer.
async fn sees(person: &Person) -> (Vec<String>, Vec<String>) {
    let list = person
        .asks_as(4, "chatfriends", json!({ "action": "list" }))
        .await
        .ok();
    let friends: Vec<String> = list["friends"]
        .as_object()
        .unwrap()
        .values()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        list["availabilities"].as_array().unwrap().len(),
        friends.len()
    );
    let waiting = list["requests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|request| request["friendname"].as_str().unwrap().to_owned())
        .collect();
    (friends, waiting)
}

fn names(friends: &[&str], waiting: &[&str]) -> (Vec<String>, Vec<String>) {
    let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    (own(friends), own(waiting))
}

#[tokio::test]
async fn a_request_waits_until_it_is_accepted() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..2 {
        assert_eq!(asks(&ann, "add", &ben).await, 200);
        assert_eq!(sees(&ann).await, names(&[], &[]));
        assert_eq!(sees(&ben).await, names(&[], &["Ann"]));
    }
    for _ in 0..2 {
        assert_eq!(asks(&ben, "accept", &ann).await, 200);
        assert_eq!(sees(&ann).await, names(&["Ben"], &[]));
        assert_eq!(sees(&ben).await, names(&["Ann"], &[]));
    }
    let published = ann.lists_friends().await.ok();
    assert_eq!(published.get("requests"), None::<&Value>);
    world.end().await;
}

#[tokio::test]
async fn two_users_who_add_each_other_at_the_same_moment_are_friends() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (by_id, by_email) = (
        json!({ "action": "add", "friendid": ben.user }),
        json!({ "action": "add", "email": "Ann@example.org" }),
    );
    let (one, other) = tokio::join!(
        ann.asks("chatfriends", by_id),
        ben.asks("chatfriends", by_email)
    );
    one.ok();
    other.ok();
    assert_eq!(sees(&ann).await, names(&["Ben"], &[]));
    assert_eq!(sees(&ben).await, names(&["Ann"], &[]));
    world.end().await;
}

#[tokio::test]
async fn remove_ends_a_friendship_declines_a_request_and_takes_one_back() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    for (remover, other) in [(&ann, &ben), (&ben, &ann)] {
        for _ in 0..2 {
            assert_eq!(asks(remover, "remove", other).await, 200);
            assert_eq!(sees(&ann).await, names(&[], &[]));
            assert_eq!(sees(&ben).await, names(&[], &[]));
        }
        assert_eq!(asks(&ann, "add", &ben).await, 200);
    }
    world.end().await;
}

#[tokio::test]
async fn a_friendship_needs_another_existing_user_who_asked() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let stranger = "0".repeat(32);
    for action in ["add", "accept", "remove"] {
        let request = |id: &str| json!({ "action": action, "friendid": id });
        ann.asks("chatfriends", request(&stranger))
            .await
            .refused(404, "user_not_found");
        ann.asks("chatfriends", request(&ann.user))
            .await
            .refused(400, "bad_request");
        ann.asks("chatfriends", request("x"))
            .await
            .refused(400, "bad_request");
        ann.asks("chatfriends", json!({ "action": action }))
            .await
            .refused(400, "bad_request");
    }
    ann.asks(
        "chatfriends",
        json!({ "action": "add", "email": "nobody@example.org" }),
    )
    .await
    .refused(404, "user_not_found");
    ann.asks("chatfriends", json!({ "action": "add", "email": "nobody" }))
        .await
        .refused(400, "bad_request");
    ann.asks(
        "chatfriends",
        json!({ "action": "accept", "friendid": ben.user }),
    )
    .await
    .refused(403, "not_allowed");
    assert_eq!(world.count("friendships").await, 0);
    world.end().await;
}

#[tokio::test]
async fn both_are_notified_of_each_change_and_nobody_else_is() {
    let world = World::new().await;
    let (ann, ben, cleo) = (
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
    );
    for person in [&ann, &ben, &cleo] {
        person.listens().await;
    }
    for (asker, action, other) in [
        (&ann, "add", &ben),
        (&ben, "accept", &ann),
        (&ben, "remove", &ann),
    ] {
        asks(asker, action, other).await;
        assert_eq!(ann.hears().await.friends, [ben.user.clone()]);
        assert_eq!(ben.hears().await.friends, [ann.user.clone()]);
        assert_eq!(cleo.hears().await, Changes::default());
    }
    world.end().await;
}

#[tokio::test]
async fn the_oldest_request_comes_first() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    // In at least one of the two cases this is not the order of their ids.
    for names in [["Ben", "Cleo", "Dan"], ["Dan", "Cleo", "Ben"]] {
        for name in names {
            asks(&world.person(name).await, "add", &ann).await;
        }
        assert_eq!(sees(&ann).await, self::names(&[], &names));
        for name in names {
            assert_eq!(asks(&ann, "remove", &world.person(name).await).await, 200);
        }
    }
    world.end().await;
}
