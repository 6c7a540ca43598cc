//! The limits of a batcher, and batches that meet: what waits, and for how long.

use std::time::Duration;

use futures_util::future::join_all;

use super::add;
use crate::world::{Hold, Person, World, eventually, message};

#[tokio::test]
async fn a_full_queue_refuses_with_retry_after_and_stores_waiting_messages() {
    let world = World::with(|settings| {
        settings.max_message_bytes = 4 << 20;
        settings.max_body_bytes = 8 << 20;
    })
    .await;
    let (ann, _ben, conversation) = world.conversation().await;
    let hold = Hold::of(&world, &conversation).await;
    // The queue takes about 64 MiB.
    let large = "A".repeat(4 << 20);
    let mut asked = vec![];
    let answered = |asked: &[tokio::task::JoinHandle<_>]| {
        asked.iter().filter(|asked| asked.is_finished()).count()
    };
    for n in 0..20 {
        let (ann, request) = (ann.clone(), add(&conversation, &message(&large)));
        asked.push(tokio::spawn(async move {
            ann.asks("chatconversation", request).await
        }));
        // Sequentially, because together they would exceed the limit of an address. The first one
        // is already waiting for the lock in the database.
        if n == 0 {
            hold.is_waited_for(1).await;
        }
        eventually("it has come", async || {
            answered(&asked) + world.waiting() >= n
        })
        .await;
    }
    let answered = answered(&asked);
    assert!(
        (1..=16).contains(&world.waiting()) && answered >= 3,
        "{} wait, {answered} are answered",
        world.waiting()
    );
    hold.is_waited_for(1).await;
    hold.ends().await;
    let answers: Vec<_> = join_all(asked)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert!(!refused.is_empty());
    for answer in &refused {
        answer.refused(503, "unavailable");
        assert!(answer.headers.contains_key("Retry-After"));
    }
    assert_eq!(
        world.count("messages").await,
        20 - i64::try_from(refused.len()).unwrap()
    );
    ann.adds(&conversation, "there is room again").await;
    world.end().await;
}

#[tokio::test]
async fn a_lock_that_is_not_given_back_stops_its_own_conversation_only() {
    let world =
        World::with(|settings| settings.timings.database.lock = Duration::from_secs(1)).await;
    let (ann, _ben, conversation) = world.conversation().await;
    let cyd = world.person("Cyd").await;
    ann.befriends(&cyd).await;
    let other = ann.creates(&cyd).await;
    let hold = Hold::of(&world, &conversation).await;
    let asked = [&conversation, &other, &conversation, &other].map(|conversation| {
        let (ann, request) = (ann.clone(), add(conversation, &message("x")));
        tokio::spawn(async move { ann.asks("chatconversation", request).await })
    });
    let answers: Vec<_> = join_all(asked)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for place in [0, 2] {
        answers[place].refused(503, "unavailable");
    }
    for place in [1, 3] {
        answers[place].ok();
    }
    hold.ends().await;
    ann.adds(&conversation, "given back").await;
    world.end().await;
}

#[tokio::test]
async fn two_nodes_that_write_into_the_same_conversations_do_not_stand_in_each_others_way() {
    let world = World::with(|settings| settings.requests_per_user = 1000).await;
    let (ann, _ben, conversation) = world.conversation().await;
    let mut conversations = vec![conversation];
    for name in ["Cyd", "Dan", "Eve", "Fay"] {
        let friend = world.person(name).await;
        ann.befriends(&friend).await;
        conversations.push(ann.creates(&friend).await);
    }
    let other = world.another().await;
    let there = Person {
        world: other.clone(),
        ..ann.clone()
    };
    let asked = (0..200).map(|n| {
        let (person, conversation) = (
            if n % 2 == 0 { &ann } else { &there },
            &conversations[(n * 7 + n / 5) % conversations.len()],
        );
        person.asks(
            "chatconversation",
            add(conversation, &message(&n.to_string())),
        )
    });
    for answer in join_all(asked).await {
        answer.ok();
    }
    assert_eq!(world.count("messages").await, 200);
    other.stop().await;
    world.end().await;
}
