//! Unread messages: those of others after the newest viewed one.

use serde_json::{Value, json};

use crate::world::{Conversation, Person, World, message, request};

/// Number of unread messages of a conversation, from a v4 client's list and its pages.
async fn unread(person: &Person, conversation: &Conversation) -> Value {
    let list = async |fields: Value| {
        let answer = person.asks_as(4, "chatconversation", fields).await.ok();
        let found = answer["conversations"].as_array().unwrap().iter();
        let mut found = found.filter(|one| one["id"] == conversation.id.as_str());
        found.next().unwrap()["unread"].clone()
    };
    let whole = list(json!({ "action": "list" })).await;
    assert_eq!(
        whole,
        list(json!({ "action": "list", "limit": 1000 })).await
    );
    whole
}

/// Adds a message of another type than `Message`.
async fn updates(person: &Person, conversation: &Conversation) {
    let mut update = message("an update");
    update["Type"] = "Update".into();
    let fields = json!({ "message": update.to_string() });
    person.does("add", conversation, fields).await.ok();
}

#[tokio::test]
async fn messages_of_others_after_the_newest_viewed_one_are_unread() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    assert_eq!(unread(&ben, &conversation).await, 0);
    let mut ids = vec![];
    for n in 0..5 {
        ids.push(ann.adds(&conversation, &n.to_string()).await);
    }
    updates(&ann, &conversation).await;
    ben.adds(&conversation, "his own").await;
    assert_eq!(
        (
            unread(&ann, &conversation).await,
            unread(&ben, &conversation).await
        ),
        (json!(1), json!(5))
    );
    // The third one; those before it count as viewed, too.
    ben.views(&conversation, &ids[2..3]).await.ok();
    assert_eq!(unread(&ben, &conversation).await, 2);
    // An older one changes nothing, and neither does a delivery.
    ben.views(&conversation, &ids[0..1]).await.ok();
    let delivered = json!({
        "action": "delivered", "conversationid": conversation.id, "instance": conversation.instance, "messageids": ids
    });
    ben.asks("chatreports", delivered).await.ok();
    assert_eq!(unread(&ben, &conversation).await, 2);
    // The other participant's views do not count.
    let own = ben.reads(&conversation).await["messages"][6]["ID"].clone();
    ann.views(&conversation, &[own.as_str().unwrap().to_owned()])
        .await
        .ok();
    assert_eq!(
        (
            unread(&ann, &conversation).await,
            unread(&ben, &conversation).await
        ),
        (json!(0), json!(2))
    );
    // From any station.
    ben.second_device()
        .await
        .views(&conversation, &ids[..4])
        .await
        .ok();
    assert_eq!(unread(&ben, &conversation).await, 1);
    let erase = request("erase", &conversation, json!({ "messageids": [ids[4]] }));
    ann.asks_as(4, "chatconversation", erase).await.ok();
    assert_eq!(unread(&ben, &conversation).await, 0);
    // A published client gets no such field.
    assert!(ben.sees(&conversation).await.get("unread").is_none());
    world.end().await;
}

#[tokio::test]
async fn cleared_and_expired_messages_are_not_unread() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "one").await;
    world
        .sql("update messages set stored_at = now() - interval '8 days', valid_until = now() - interval '8 days'")
        .await;
    ann.adds(&conversation, "two").await;
    assert_eq!(unread(&ben, &conversation).await, 2);
    let before = parlance_wire::time::Timestamp::now().plus(-chrono::TimeDelta::days(7));
    assert_eq!(
        parlance::store::purge::expired(&world.store, before)
            .await
            .unwrap(),
        1
    );
    assert_eq!(unread(&ben, &conversation).await, 1);
    let cleared = ann.does("clear", &conversation, json!({})).await.ok();
    let conversation = Conversation::of(&cleared["conversation"]);
    assert_eq!(unread(&ben, &conversation).await, 0);
    ann.adds(&conversation, "three").await;
    assert_eq!(unread(&ben, &conversation).await, 1);
    world.end().await;
}

#[tokio::test]
async fn no_more_than_999_are_counted() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.adds(&conversation, "the first").await;
    let more = |from: i64, to: i64, user: &str| {
        format!(
            "insert into messages (conversation_id, seq, message_id, instance, user_id, station_id, type, created_at, valid_until, data, chain)
            select conversation_id, n, gen_random_uuid(), instance, '{user}', station_id, type, created_at, valid_until, data, chain
            from messages, generate_series({from}, {to}) n where seq = 1;
            update conversations set last_seq = {to}, last_message_seq = {to}"
        )
    };
    world.sql(&more(2, 999, &ann.user)).await;
    assert_eq!(unread(&ben, &conversation).await, 999);
    world.sql(&more(1000, 1001, &ann.user)).await;
    assert_eq!(unread(&ben, &conversation).await, 999);
    // If there are more messages than a list reads, the newest ones count.
    world.sql(&more(1002, 5999, &ben.user)).await;
    assert_eq!(unread(&ben, &conversation).await, 2);
    world.sql("delete from messages; update conversations set last_seq = 0, last_message_seq = 0, last_message_id = null, chain = null").await;
    world.end().await;
}

#[tokio::test]
async fn a_new_member_has_no_unread_messages_from_before() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    let group = json!({
        "action": "create", "displayname": "n", "participantids": [],
        "secrets": { &ann.user: "s" }
    });
    let answer = ann.asks_as(4, "chatconversationgroup", group).await.ok();
    let group = Conversation::of(&answer["conversation"]);
    ann.adds(&group, "before").await;
    let add = json!({
        "action": "addparticipants", "conversationid": group.id, "participantids": [ben.user, cleo.user],
        "secrets": { &ben.user: "s", &cleo.user: "s" }
    });
    ann.asks_as(4, "chatconversationgroup", add).await.ok();
    // One is added directly, the other one accepts.
    let accept = json!({ "action": "accept", "conversationid": group.id });
    cleo.asks_as(4, "chatconversationgroup", accept).await.ok();
    for person in [&ben, &cleo] {
        assert_eq!(unread(person, &group).await, 0);
    }
    ann.adds(&group, "after").await;
    for person in [&ben, &cleo] {
        assert_eq!(unread(person, &group).await, 1);
    }
    world.end().await;
}
