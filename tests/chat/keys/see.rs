//! The cards that a user may see.

use parlance_wire::e2ee::{SignedCard, Succession};
use serde_json::{Value, json};

use crate::{
    group::{asks, ids, secrets},
    world::{Conversation, Person, World, public_key},
};

/// The users among these whose cards, and public keys, a person sees.
async fn sees(person: &Person, others: &[&Person]) -> Vec<String> {
    let answer = person
        .asks_keys("get", json!({ "userids": ids(others) }))
        .await
        .ok();
    let cards = answer["cards"].as_object().unwrap();
    let keys = answer["publickeys"].as_object().unwrap();
    for (user, key) in keys {
        let owner = others.iter().find(|one| one.user == *user).unwrap();
        assert_eq!(*key, public_key(&owner.key));
    }
    let seen: Vec<String> = cards.keys().cloned().collect();
    assert!(seen.iter().eq(keys.keys()));
    seen
}

fn sorted(people: &[&Person]) -> Vec<String> {
    let mut ids = ids(people);
    ids.sort();
    ids
}

#[tokio::test]
async fn cards_are_seen_by_friends_and_by_those_who_share_a_conversation_and_by_nobody_else() {
    let world = World::new().await;
    let people = [
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
        world.person("Dan").await,
        world.person("Eve").await,
    ];
    let [ann, ben, cleo, dan, eve] = &people;
    for person in &people {
        person.has_card().await;
    }
    let all: Vec<&Person> = people.iter().collect();
    assert_eq!(sees(ann, &all).await, sorted(&[ann]));
    for friend in [ben, cleo] {
        ann.befriends(friend).await;
    }
    // A request alone is not a friendship.
    dan.requests_friendship(ann).await.ok();
    assert_eq!(sees(ann, &all).await, sorted(&[ann, ben, cleo]));
    assert_eq!(sees(dan, &all).await, sorted(&[dan]));
    let create = json!({ "displayname": "x", "participantids": ids(&[ben, cleo]), "secrets": secrets(&[ann, ben, cleo]) });
    let group = Conversation::of(&asks(ann, "create", create).await.ok()["conversation"]);
    assert_eq!(sees(ben, &all).await, sorted(&[ann, ben, cleo]));
    // A former participant wrote messages that still exist, so their card stays visible; but they
    // no longer see the others'.
    asks(cleo, "leave", json!({ "conversationid": group.id }))
        .await
        .ok();
    cleo.unfriends(ann).await.ok();
    assert_eq!(sees(ben, &all).await, sorted(&[ann, ben, cleo]));
    assert_eq!(sees(cleo, &all).await, sorted(&[cleo]));
    assert_eq!(sees(eve, &all).await, sorted(&[eve]));
    world.end().await;
}

#[tokio::test]
async fn the_cards_of_a_user_come_one_after_the_other_from_the_one_that_is_known_on() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let first = ann.first_card(ann.server_id().await);
    let second = ann.next_card(&first.card, 2, Some(1));
    let third = ann.next_card(&second.card, 3, None);
    let published = [first, second, third];
    for card in &published {
        ann.publishes(card).await.ok();
    }
    let gets = async |after: Value| -> Vec<SignedCard> {
        let request = json!({ "userids": [ann.user], "after": after });
        let answer = ben.asks_keys("get", request).await.ok();
        assert_eq!(answer["hasmore"], false);
        let cards = answer["cards"].get(&ann.user).cloned().unwrap_or(json!([]));
        serde_json::from_value(cards).unwrap()
    };
    assert_eq!(gets(json!({})).await, published);
    assert_eq!(gets(json!({ &ann.user: 1 })).await, published[1..]);
    assert!(gets(json!({ &ann.user: 3 })).await.is_empty());
    let cards = gets(json!({})).await;
    let succession = |n: usize| cards[n].succeeds(&cards[n - 1].card).unwrap();
    assert_eq!(
        (succession(1), succession(2)),
        (Succession::Renewed, Succession::NewIdentity)
    );
    world.end().await;
}

#[tokio::test]
async fn users_without_a_card_have_a_public_key_and_deleted_users_have_none() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let conversation = ann.creates(&ben).await;
    let gets = async || {
        let request = json!({ "userids": [&ben.user], "after": { &ben.user: 7 } });
        ann.asks_keys("get", request).await.ok()
    };
    let answer = gets().await;
    assert_eq!(
        answer["publickeys"],
        json!({ &ben.user: public_key(&ben.key) })
    );
    ben.has_card().await;
    // Even if no card is new.
    let again = gets().await;
    assert_eq!(
        (&again["cards"], &again["publickeys"]),
        (&json!({}), &answer["publickeys"])
    );
    let delete = json!({ "action": "delete", "apikey": "the apikey of Ben" });
    ben.asks_as(4, "chatlogin", delete).await.ok();
    assert_eq!(gets().await["publickeys"], json!({}));
    assert_eq!(
        ann.sees(&conversation).await["participantids"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    world.end().await;
}

#[tokio::test]
async fn malformed_requests_about_keys_are_refused_by_field() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let many: Vec<String> = (0..1001).map(|n| format!("{n:032x}")).collect();
    for (action, fields) in [
        ("get", json!({})),
        ("get", json!({ "userids": "x" })),
        ("get", json!({ "userids": ["x"] })),
        ("get", json!({ "userids": many })),
        ("get", json!({ "userids": [], "after": { "x": 1 } })),
        ("get", json!({ "userids": [], "after": { &ann.user: -1 } })),
        ("log", json!({ "after": -1 })),
        ("log", json!({ "after": "x" })),
    ] {
        ann.asks_keys(action, fields.clone())
            .await
            .refused(400, "bad_request");
    }
    ann.asks_keys("dance", json!({}))
        .await
        .refused(404, "unknown_action");
    // Key actions do not exist for version 3 clients.
    for action in ["get", "log", "publish"] {
        let request = json!({ "action": action, "userids": [] });
        ann.asks_as(3, "chatkeys", request)
            .await
            .refused(404, "unknown_action");
    }
    // Neither the keys of strangers, nor of users who do not exist.
    let nobody = json!({ "userids": [&many[0]] });
    assert_eq!(ann.asks_keys("get", nobody).await.ok()["cards"], json!({}));
    world.end().await;
}
