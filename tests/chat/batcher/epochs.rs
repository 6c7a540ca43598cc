//! An epoch begins while messages wait for the lock.

use crate::world::{Hold, Person, Roster, World, message};

#[tokio::test]
async fn a_retry_that_waits_through_a_rekeying_is_known_and_a_new_message_is_stale() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    ann.has_card().await;
    let (conversation, first) = ann.creates_with_epoch(&ben).await;
    // Each node has its own batches.
    let nodes = [world.another().await, world.another().await];
    let at = |node: usize| Person {
        world: nodes[node].clone(),
        ..ben.clone()
    };
    let (once, late) = (message("once"), message("late"));
    let adds = |person: Person, message: &serde_json::Value| {
        let (conversation, message) = (conversation.clone(), message.clone());
        tokio::spawn(async move { person.adds_in(&conversation, 1, &message).await })
    };
    let hold = Hold::of(&world, &conversation).await;
    let stored = adds(ben.clone(), &once);
    hold.is_waited_for(1).await;
    let (request, _) = ann.rekeying(&conversation, Some(&first), &Roster::default());
    let rekeyed = tokio::spawn(async move { ann.asks_as(4, "chatconversation", request).await });
    hold.is_waited_for(2).await;
    // A retry of the first message, as if its answer were lost, and another message under the epoch
    // that is about to end.
    let retried = adds(at(0), &once);
    hold.is_waited_for(3).await;
    let refused = adds(at(1), &late);
    hold.is_waited_for(4).await;
    hold.ends().await;
    rekeyed.await.unwrap().ok();
    assert_eq!(retried.await.unwrap().ok(), stored.await.unwrap().ok());
    refused.await.unwrap().refused(409, "stale_epoch");
    assert_eq!(world.count("messages").await, 1);
    for node in nodes {
        node.stop().await;
    }
    world.end().await;
}
