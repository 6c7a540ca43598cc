//! A card is accepted if it belongs to the caller, follows the previous one, and is signed by the
//! keys that it names.

use futures_util::future::join_all;
use parlance_wire::{e2ee::SignedCard, id::ServerId};
use serde_json::{Value, json};

use crate::world::{Changes, Signer, World};

#[tokio::test]
async fn a_card_that_is_not_the_callers_next_one_or_not_signed_by_its_keys_is_refused() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let server = ann.server_id().await;
    let card = ann.first_card(server);
    let whole = || serde_json::to_value(&card).unwrap();
    let with = |path: &str, value: Value| {
        let mut request = whole();
        *request.pointer_mut(path).unwrap() = value;
        request
    };
    let by_another = Signer::of("Ben", 1).sign(&card.card.signed_text());
    let text = card.card.text();
    for request in [
        json!({}),
        json!({ "card": text }),
        with("/card", json!(null)),
        with("/card", json!("{}")),
        // Not the canonical text.
        with("/card", json!(text.replace(':', ": "))),
        with("/card", json!(text.replace("\"v\":1", "\"v\":2"))),
        with("/signatures/sign", json!("x")),
        with("/signatures/sign", json!(by_another)),
        with("/signatures/rsa", json!("")),
        with("/signatures/prev", json!(by_another)),
        serde_json::to_value(ben.first_card(server)).unwrap(),
        serde_json::to_value(ann.first_card(ServerId::random())).unwrap(),
        // Her address with his RSA key.
        serde_json::to_value(SignedCard {
            card: card.card.clone(),
            signatures: ben.first_card(server).signatures,
        })
        .unwrap(),
    ] {
        ann.asks_keys("publish", request.clone())
            .await
            .refused(400, "bad_request");
    }
    let second = ann.next_card(&card.card, 2, Some(1));
    let refusal = ann.publishes(&second).await.refused(409, "stale_card");
    assert_eq!(refusal["n"], 0);
    assert!(refusal.get("card").is_none());
    assert_eq!(world.count("cards").await, 0);
    ann.publishes(&card).await.ok();
    // Not signed by the previous card's key; and one card too far.
    ann.publishes(&ann.next_card(&card.card, 2, Some(2)))
        .await
        .refused(400, "bad_request");
    let third = ann.next_card(&second.card, 3, Some(2));
    let refusal = ann.publishes(&third).await.refused(409, "stale_card");
    assert_eq!(refusal["n"], 1);
    assert_eq!(refusal["card"], json!(card.card.hash()));
    // Another first card.
    ann.publishes(&ann.next_card(&ann.next_card(&second.card, 2, None).card, 1, None))
        .await
        .refused(409, "stale_card");
    ann.publishes(&second).await.ok();
    // The key was lost: a new identity, which the server accepts, and of which clients warn.
    ann.publishes(&ann.next_card(&second.card, 3, None))
        .await
        .ok();
    assert_eq!(
        (world.count("cards").await, ann.log_head().await.head.size()),
        (3, 3)
    );
    world.end().await;
}

#[tokio::test]
async fn a_card_is_published_once_however_often_it_is_sent_and_friends_hear_of_it() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let card = ann.first_card(ann.server_id().await);
    for person in [&ann, &ben, &cleo] {
        person.listens().await;
    }
    for _ in 0..2 {
        ann.publishes(&card).await.ok();
        for person in [&ann, &ben] {
            let heard = Changes {
                friends: vec![ann.user.clone()],
                ..Changes::default()
            };
            assert_eq!(person.hears().await, heard);
        }
    }
    assert_eq!(cleo.hears().await, Changes::default());
    assert_eq!(world.count("key_log").await, 1);
    world.end().await;
}

#[tokio::test]
async fn one_of_two_concurrent_next_cards_is_accepted_and_the_log_has_no_holes() {
    let world = World::with(|settings| settings.database_connections = 8).await;
    let names = ["Ann", "Ben", "Cleo", "Dan"];
    let people = join_all(names.map(|name| world.person(name))).await;
    let server = people[0].server_id().await;
    let firsts: Vec<_> = people.iter().map(|one| one.first_card(server)).collect();
    let published = join_all(
        people
            .iter()
            .zip(&firsts)
            .map(|(one, card)| one.publishes(card)),
    )
    .await;
    assert!(published.iter().all(|answer| answer.status == 200));
    let nexts = people.iter().zip(&firsts).flat_map(|(one, first)| {
        (2..6).map(move |number| async move {
            let card = one.next_card(&first.card, number, Some(1));
            one.publishes(&card).await.status
        })
    });
    let statuses = join_all(nexts).await;
    for of_one in statuses.chunks(4) {
        let mut of_one = of_one.to_vec();
        of_one.sort_unstable();
        assert_eq!(of_one, [200, 409, 409, 409]);
    }
    assert_eq!(people[0].log_head().await.head.size(), 8);
    world.end().await;
}

#[tokio::test]
async fn the_number_of_a_card_goes_on_when_the_cards_before_are_deleted() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let first = ann.first_card(ann.server_id().await);
    ann.publishes(&first).await.ok();
    // As for a new account with the address of a deleted one.
    world.sql("delete from cards").await;
    let second = ann.next_card(&first.card, 2, None);
    let third = ann.next_card(&second.card, 3, Some(2));
    let renewed = ann.next_card(&first.card, 2, Some(1));
    let forked = ann.next_card(&ann.first_of(2, first.card.server()).card, 2, None);
    for card in [&renewed, &forked] {
        ann.publishes(card).await.refused(400, "bad_request");
    }
    for card in [&ann.first_of(2, first.card.server()), &third] {
        let refusal = ann.publishes(card).await.refused(409, "stale_card");
        assert_eq!(refusal["n"], 1);
    }
    ann.publishes(&second).await.ok();
    ann.publishes(&third).await.ok();
    world.end().await;
}

#[tokio::test]
async fn the_number_of_cards_per_day_is_limited() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let mut card = ann.first_card(ann.server_id().await);
    for number in 2..22 {
        ann.publishes(&card).await.ok();
        card = ann.next_card(&card.card, number, Some(number - 1));
    }
    let refused = ann.publishes(&card).await;
    refused.refused(429, "rate_limited");
    let wait: u64 = refused.headers["Retry-After"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((86_000..=86_400).contains(&wait), "{wait}");
    world
        .sql("update cards set published_at = published_at - interval '1 day'")
        .await;
    ann.publishes(&card).await.ok();
    world.end().await;
}
