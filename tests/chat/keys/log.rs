//! The key log: every client reads the same log, and it only grows.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::e2ee::{LOG_ENTRY_LEN, LogEntry, SignedCard, Tag, Tree};
use serde_json::{Value, json};

use crate::world::{Person, World};

/// The entries in an answer.
fn entries(log: &Value) -> Vec<LogEntry> {
    let bytes = STANDARD.decode(log["entries"].as_str().unwrap()).unwrap();
    let (entries, rest) = bytes.as_chunks::<LOG_ENTRY_LEN>();
    assert!(rest.is_empty());
    entries.iter().map(LogEntry::from_bytes).collect()
}

async fn log(person: &Person, after: usize) -> Value {
    person
        .asks_keys("log", json!({ "after": after }))
        .await
        .ok()
}

fn entry_of(card: &SignedCard) -> LogEntry {
    let card = &card.card;
    LogEntry {
        tag: Tag::of(card.server(), card.user()).unwrap(),
        n: card.n(),
        card: card.hash(),
    }
}

#[tokio::test]
async fn a_client_that_follows_the_log_has_each_card_and_the_root_that_the_server_signed() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    assert_eq!(
        ann.log_head().await.head.root(),
        Tree::default().root(),
        "nothing is in it"
    );
    let server = ann.server_id().await;
    let first = ann.first_card(server);
    let cards = [
        first.clone(),
        ben.first_card(server),
        ann.next_card(&first.card, 2, Some(1)),
    ];
    let mut tree = Tree::default();
    for (after, card) in cards.iter().enumerate() {
        let owner = if card.card.user() == ann.id() {
            &ann
        } else {
            &ben
        };
        owner.publishes(card).await.ok();
        // Any user may read it, from any known entry on.
        let new = entries(&log(&ben, after).await);
        assert_eq!(new, [entry_of(card)]);
        tree.append(new[0].leaf());
        let head = ann.log_head().await.head;
        assert_eq!((head.size(), head.root()), (tree.size(), tree.root()));
    }
    let whole = log(&ann, 0).await;
    assert_eq!(entries(&whole), cards.each_ref().map(entry_of));
    assert_eq!(whole["hasmore"], false);
    assert!(entries(&log(&ann, 3).await).is_empty());
    // The same on another node of the server, and after a restart.
    let another = world.another().await;
    let there = Person {
        world: another.clone(),
        ..ann.clone()
    };
    assert_eq!(there.log_head().await.head.server(), server);
    assert_eq!(log(&there, 0).await["key"], whole["key"]);
    another.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_long_log_comes_in_parts() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    world
        .sql(
            "insert into key_log select n, decode(repeat('00', 72), 'hex') from generate_series(1, 10001) n;
            update key_log_head set size = 10001, peaks = (
                select array_agg(sha256(n::text::bytea)) from generate_series(1, length(replace(10001::bit(14)::text, '0', ''))) n
            )",
        )
        .await;
    let first = log(&ann, 0).await;
    assert_eq!(
        (entries(&first).len(), &first["hasmore"]),
        (10_000, &json!(true))
    );
    let rest = log(&ann, 10_000).await;
    assert_eq!((entries(&rest).len(), &rest["hasmore"]), (1, &json!(false)));
    assert_eq!(ann.log_head().await.head.size(), 10_001);
    world.stop().await;
}
