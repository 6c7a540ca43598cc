//! Clearing ends an instance for everyone.

use serde_json::json;

use crate::world::{Conversation, World, message, request};

#[tokio::test]
async fn clear_ends_an_instance_for_everyone_and_a_retry_changes_nothing() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "gone soon").await;
    ben.views(&conversation, &[id]).await.ok();
    let before = ann.sees(&conversation).await;
    assert!(before["lastmessageid"] != "" && before["lastreportid"] != "");

    let cleared = ben.does("clear", &conversation, json!({})).await.ok()["conversation"].clone();
    let next = Conversation::of(&cleared);
    assert_ne!(next.instance, conversation.instance);
    assert_eq!(
        (&cleared["lastmessageid"], &cleared["lastreportid"]),
        (&json!(""), &json!(""))
    );
    assert_eq!(cleared["lastaccess"], before["lastaccess"]);
    for person in [&ann, &ben] {
        let empty = person.reads(&next).await;
        assert_eq!(
            (&empty["messages"], &empty["reports"]),
            (&json!([]), &json!([]))
        );
    }
    // Every request with the old instance is told the present one, and stores nothing.
    for request in [
        request("clear", &conversation, json!({})),
        request("add", &conversation, json!({ "message": message("late") })),
        request("download", &conversation, json!({})),
        request("downloadpartial", &conversation, json!({})),
    ] {
        let refusal = ann
            .asks("chatconversation", request)
            .await
            .refused(409, "stale_instance");
        assert_eq!(refusal["instance"], next.instance);
    }
    ann.views(&conversation, &[])
        .await
        .refused(409, "stale_instance");
    assert_eq!(Conversation::of(&ann.sees(&next).await), next);
    world.end().await;
}

#[tokio::test]
async fn the_same_ids_may_come_again_after_a_clear() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let message = message("again");
    let id = message["ID"].as_str().unwrap().to_owned();
    let mut conversation = conversation;
    for _ in 0..3 {
        ann.does("add", &conversation, json!({ "message": message }))
            .await
            .ok();
        ben.views(&conversation, std::slice::from_ref(&id))
            .await
            .ok();
        let history = ben.reads(&conversation).await;
        assert_eq!(
            (
                history["messages"].as_array().unwrap().len(),
                history["reports"].as_array().unwrap().len()
            ),
            (1, 1)
        );
        conversation = Conversation::of(
            &ann.does("clear", &conversation, json!({})).await.ok()["conversation"],
        );
    }
    world.end().await;
}

#[tokio::test]
async fn cleared_rows_are_deleted_in_the_background_and_no_others() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    for n in 0..3 {
        let id = ann.adds(&conversation, &n.to_string()).await;
        ben.views(&conversation, &[id]).await.ok();
    }
    let next =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    let kept = ann.adds(&next, "kept").await;
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (4, 3)
    );
    assert_eq!(
        parlance::store::purge::cleared(&world.store).await.unwrap(),
        6
    );
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (1, 0)
    );
    assert_eq!(
        parlance::store::purge::cleared(&world.store).await.unwrap(),
        0
    );
    assert_eq!(ben.reads(&next).await["messages"][0]["ID"], kept);
    world.end().await;
}

#[tokio::test]
async fn in_a_group_only_an_admin_clears() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    world
        .sql(&format!("update conversations set is_group = true; update participants set role = 'admin' where user_id = '{}'", ann.user))
        .await;
    ben.does("clear", &conversation, json!({}))
        .await
        .refused(403, "not_allowed");
    assert_eq!(
        ben.sees(&conversation).await["instance"],
        conversation.instance
    );
    ann.does("clear", &conversation, json!({})).await.ok();
    world.end().await;
}
