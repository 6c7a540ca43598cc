//! Nothing is served on the strength of the cache alone.

use serde_json::json;

use super::{marks, reads, ten, was_read_again};
use crate::world::{Conversation, Person, World, at, message};

#[tokio::test]
async fn cached_pages_are_served_only_to_participants_and_in_their_own_instance() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ten(&ann, &ben, &conversation).await;
    reads(&ann, 3, &conversation, json!({})).await;
    cleo.does("download", &conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    let other = Conversation {
        instance: "0000000000".into(),
        ..conversation.clone()
    };
    ben.does("download", &other, json!({}))
        .await
        .refused(409, "stale_instance");
    let next =
        Conversation::of(&ann.does("clear", &conversation, json!({})).await.ok()["conversation"]);
    ben.does("download", &conversation, json!({}))
        .await
        .refused(409, "stale_instance");
    assert_eq!(
        reads(&ben, 3, &next, json!({})).await["messages"],
        json!([])
    );
    world.end().await;
}

#[tokio::test]
async fn a_removed_participant_is_shown_nothing_more() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let group = json!({
        "action": "create", "displayname": "group", "participantids": [ben.user],
        "secrets": { ann.user.clone(): "a", ben.user.clone(): "b" },
    });
    let conversation =
        Conversation::of(&ann.asks("chatconversationgroup", group).await.ok()["conversation"]);
    ten(&ann, &ben, &conversation).await;
    assert_eq!(
        reads(&ben, 3, &conversation, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let remove = json!({ "action": "removeparticipants", "conversationid": conversation.id, "participantids": [ben.user] });
    ann.asks("chatconversationgroup", remove).await.ok();
    ben.does("download", &conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn additions_by_another_node_are_read() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ten(&ann, &ben, &conversation).await;
    assert_eq!(
        reads(&ben, 3, &conversation, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        10
    );
    let node = world.another().await;
    let second_device = Person {
        world: node.clone(),
        ..ann.clone()
    };
    for count in [11, 12] {
        second_device.adds(&conversation, "there").await;
        assert_eq!(
            reads(&ben, 3, &conversation, json!({})).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            count
        );
    }
    node.db.close().await;
    node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_page_of_another_database_is_not_served_for_the_same_number() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ten(&ann, &ben, &conversation).await;
    let cursor = json!({});
    reads(&ben, 3, &conversation, cursor.clone()).await;
    // As after a failover to a replica that lacked the newest message or report, to which another
    // one was then added.
    for other in [
        "chain = sha256('another')",
        "last_report_id = gen_random_uuid()",
    ] {
        marks(&world).await;
        world
            .sql(&format!("update conversations set {other}"))
            .await;
        assert!(
            was_read_again(&reads(&ben, 3, &conversation, cursor.clone()).await),
            "{other}"
        );
        world
            .sql("update messages set data = 'as before'; update reports set type = 'viewed'")
            .await;
    }
    world.stop().await;
}

#[tokio::test]
async fn rows_that_may_be_purged_are_not_served_from_the_cache() {
    let world = World::with(|settings| settings.expiry_grace = chrono::TimeDelta::zero()).await;
    let (ann, ben, conversation) = world.conversation().await;
    ten(&ann, &ben, &conversation).await;
    let mut short = message("short");
    short["ValidUntil"] = at(-chrono::TimeDelta::days(1)).into();
    ann.does(
        "add",
        &conversation,
        json!({ "message": short.to_string() }),
    )
    .await
    .ok();
    assert_eq!(
        reads(&ben, 3, &conversation, json!({})).await["messages"]
            .as_array()
            .unwrap()
            .len(),
        11
    );
    marks(&world).await;
    assert!(was_read_again(
        &reads(&ben, 3, &conversation, json!({})).await
    ));
    world.stop().await;
}
