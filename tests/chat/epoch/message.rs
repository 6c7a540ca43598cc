//! A message names the epoch whose secret encrypts it.

use serde_json::json;

use super::{asks, people};
use crate::world::{Roster, World, message, request};

#[tokio::test]
async fn a_message_of_an_epoch_that_has_ended_is_refused_and_its_retry_is_known() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (conversation, first) = ann.creates_with_epoch(&ben).await;
    let early = message("early");
    let stored = ben.adds_in(&conversation, 1, &early).await.ok();
    for wrong in [2, 7, u32::MAX] {
        let refusal = ben
            .adds_in(&conversation, wrong, &message("x"))
            .await
            .refused(409, "stale_epoch");
        assert_eq!(refusal["epoch"], 1);
    }
    ann.rekeys(&conversation, &first, &Roster::default()).await;
    let refusal = ben
        .adds_in(&conversation, 1, &message("late"))
        .await
        .refused(409, "stale_epoch");
    assert_eq!(refusal["epoch"], 2);
    // Its answer was lost, and another epoch began: a retry may be unchanged, or name the new
    // epoch.
    for epoch in [1, 2] {
        assert_eq!(ben.adds_in(&conversation, epoch, &early).await.ok(), stored);
    }
    let mut changed = early.clone();
    changed["Data"] = "other".into();
    ben.adds_in(&conversation, 1, &changed)
        .await
        .refused(409, "message_id_conflict");
    ben.adds_in(&conversation, 2, &message("in time"))
        .await
        .ok();
    assert_eq!(world.count("messages").await, 2);
    world.end().await;
}

#[tokio::test]
async fn a_message_that_is_known_is_answered_before_its_instance_is_judged_for_a_v4_client() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    let (conversation, _) = ann.creates_with_epoch(&ben).await;
    let early = message("early");
    let stored = ben.adds_in(&conversation, 1, &early).await.ok();
    ann.does("clear", &conversation, json!({})).await.ok();
    // Cleared messages may be purged at any time, and a retry is then refused: it is never stored
    // again.
    let again = ben.adds_in(&conversation, 1, &early).await;
    assert!(
        again.status == 409 || again.ok() == stored,
        "{}",
        again.text
    );
    ben.does("add", &conversation, json!({ "message": early }))
        .await
        .refused(409, "stale_instance");
    ben.adds_in(&conversation, 1, &message("new"))
        .await
        .refused(409, "stale_instance");
    world.end().await;
}

#[tokio::test]
async fn a_client_of_version_4_names_the_epoch_and_an_older_one_need_not() {
    let world = World::new().await;
    let [ann, ben] = people(&world, ["Ann", "Ben"]).await;
    // A conversation without epochs has none to name.
    let conversation = ann.creates(&ben).await;
    let add = || request("add", &conversation, json!({ "message": message("x") }));
    asks(&ann, &add()).await.ok();
    let refusal = ann
        .adds_in(&conversation, 1, &message("x"))
        .await
        .refused(409, "stale_epoch");
    assert_eq!(refusal["epoch"], 0);
    let both = Roster {
        added: vec![&ann, &ben],
        ..Roster::default()
    };
    let (rekey, _) = ann.rekeying(&conversation, None, &both);
    asks(&ann, &rekey).await.ok();
    let refusal = asks(&ann, &add()).await.refused(409, "stale_epoch");
    assert_eq!(refusal["epoch"], 1);
    ann.asks("chatconversation", add()).await.ok();
    for epoch in [json!(0), json!(-1), json!("x"), json!(1.5)] {
        let mut wrong = add();
        wrong["epoch"] = epoch;
        asks(&ann, &wrong).await.refused(400, "bad_request");
    }
    assert_eq!(world.count("messages").await, 2);
    world.end().await;
}
