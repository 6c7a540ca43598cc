//! Erased messages: their content is gone at once, for everyone; the chain and retries still know
//! them.

use serde_json::{Value, json};

use crate::{
    transcript::{asks, beginning, follow, head},
    world::{Answer, Conversation, Person, Socket, World, message, request},
};

async fn erases(person: &Person, conversation: &Conversation, ids: &[&str]) -> Answer {
    let fields = request("erase", conversation, json!({ "messageids": ids }));
    person.asks_as(4, "chatconversation", fields).await
}

/// Adds a message. Returns the sent message.
async fn adds(person: &Person, conversation: &Conversation, data: &str) -> Value {
    let message = message(data);
    let fields = json!({ "message": message.to_string() });
    person.does("add", conversation, fields).await.ok();
    message
}

#[tokio::test]
async fn an_erased_message_is_gone_for_everyone_and_its_link_remains() {
    let world = World::new().await;
    let other_node = world.another().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut sent = vec![];
    // Enough for a page to be cached, here and on the other node.
    for n in 0..12 {
        sent.push(adds(&ann, &conversation, &format!("said {n}")).await);
    }
    let id = sent[5]["ID"].as_str().unwrap();
    ben.views(&conversation, &[id.to_owned()]).await.ok();
    let elsewhere = Person {
        world: other_node.clone(),
        ..ben.clone()
    };
    let before = head(&ben, &conversation).await;
    for reader in [&ben, &elsewhere, &ben, &elsewhere] {
        assert!(
            reader
                .reads(&conversation)
                .await
                .to_string()
                .contains("said 5")
        );
    }
    // An unknown one is skipped.
    let unknown = "00000000-0000-4000-8000-000000000000";
    let answer = erases(&ann, &conversation, &[id, unknown]).await.ok();
    assert_eq!(answer["messageids"], json!([id]));
    for reader in [&ben, &elsewhere] {
        let history = reader.reads(&conversation).await;
        assert_eq!(history["messages"].as_array().unwrap().len(), 11);
        assert_eq!(history["reports"], json!([]));
        assert!(!history.to_string().contains("said 5"));
    }
    assert!(
        !ben.does("downloadpartial", &conversation, json!({}))
            .await
            .text
            .contains("said 5")
    );
    // The chain is unchanged, and its link names the message.
    assert_eq!(head(&ben, &conversation).await, before);
    let links = asks(&ben, "transcript", &conversation, json!({})).await["transcript"].clone();
    assert_eq!(
        (links.as_array().unwrap().len(), &links[5]["ID"]),
        (12, &json!(id))
    );
    assert_eq!(
        before,
        hex::encode(follow(beginning(&conversation), &links))
    );
    // A retry is recognized and stores nothing; another text under this id is not a retry.
    let retry = json!({ "message": sent[5].to_string() });
    ann.does("add", &conversation, retry).await.ok();
    let mut other = sent[5].clone();
    other["Data"] = "another text".into();
    let other = json!({ "message": other.to_string() });
    ann.does("add", &conversation, other)
        .await
        .refused(409, "message_id_conflict");
    assert_eq!(world.count("messages").await, 11);
    // It still works as a cursor, and can be erased again.
    let cursor = json!({ "firstmessageid": id, "firstmessagedate": sent[5]["Created"] });
    let page = ben.does("download", &conversation, cursor).await.ok();
    assert_eq!(page["messages"][0]["ID"], sent[6]["ID"]);
    let again = erases(&ann, &conversation, &[id]).await.ok();
    assert_eq!(again["messageids"], json!([]));
    other_node.stop().await;
    world.end().await;
}

#[tokio::test]
async fn a_page_from_before_is_never_served_again() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for n in 0..12 {
        ids.push(ann.adds(&conversation, &format!("said {n}")).await);
    }
    for id in &ids[..3] {
        // Cached, erased, and then more is appended to what was cached.
        for _ in 0..2 {
            let page = ben.asks_as(
                4,
                "chatconversation",
                request("download", &conversation, json!({})),
            );
            page.await.ok();
        }
        erases(&ann, &conversation, &[id]).await.ok();
        ann.adds(&conversation, "after it").await;
        for _ in 0..3 {
            let page = ben.asks_as(
                4,
                "chatconversation",
                request("download", &conversation, json!({})),
            );
            let text = page.await.text;
            assert!(
                text.contains("after it") && !text.contains(id.as_str()),
                "{text}"
            );
        }
    }
    // While others erase and write, no reader that begins after an erasure sees it undone.
    let reader = async {
        for id in &ids[3..] {
            erases(&ann, &conversation, &[id]).await.ok();
            let page = ben.asks_as(
                4,
                "chatconversation",
                request("download", &conversation, json!({})),
            );
            let text = page.await.text;
            assert!(!text.contains(id.as_str()), "{text}");
        }
    };
    let others = async {
        for n in 0..20 {
            ann.adds(&conversation, &format!("more {n}")).await;
            let page = ann.asks_as(
                4,
                "chatconversation",
                request("download", &conversation, json!({})),
            );
            page.await.ok();
        }
    };
    tokio::join!(reader, others);
    assert_eq!(world.count("messages where data like 'said %'").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_v4_poll_says_what_was_erased() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "x").await;
    let poll = async |received: Value| {
        let fields = json!({ "action": "download", "received": received });
        ben.asks_as(4, "chatnotification", fields).await.ok()
    };
    let receipt = poll(Value::Null).await["receipt"].clone();
    let receipt = poll(receipt).await["receipt"].clone();
    erases(&ann, &conversation, &[&id]).await.ok();
    let told = poll(receipt).await;
    let erased = json!([{ "conversationid": conversation.id, "messageids": [id] }]);
    assert_eq!(told["erased"], erased);
    assert_eq!(told["conversationchangedof"], json!([conversation.id]));
    assert!(poll(told["receipt"].clone()).await.get("erased").is_none());
    world.end().await;
}

#[tokio::test]
async fn readers_are_told_of_erased_messages_at_once() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let mut ids = vec![];
    for n in 0..3 {
        ids.push(ann.adds(&conversation, &n.to_string()).await);
    }
    let mut socket = Socket::of(&ben, 4).await;
    let mut published = Socket::of(&ben.second_device().await, 3).await;
    ids.sort();
    let named: Vec<&str> = ids[..2].iter().map(String::as_str).collect();
    erases(&ann, &conversation, &named).await.ok();
    let mut told = socket.hears().await;
    while told["erased"].is_null() {
        told = socket.hears().await;
    }
    assert_eq!(
        told["erased"],
        json!([{ "conversationid": conversation.id, "messageids": named }])
    );
    assert_eq!(told["conversationchangedof"], json!([conversation.id]));
    assert_eq!(told["events"], json!([]));
    let told = published.hears().await;
    assert_eq!(told["conversationchangedof"], json!([conversation.id]));
    assert!(told.get("erased").is_none());
    // Sent again it is announced again; what was never stored is not.
    let never = "00000000-0000-4000-8000-000000000000";
    erases(&ann, &conversation, &[never, named[0]]).await.ok();
    let told = socket.hears().await;
    assert_eq!(
        told["erased"],
        json!([{ "conversationid": conversation.id, "messageids": [named[0]] }])
    );
    world.end().await;
}

#[tokio::test]
async fn users_erase_their_own_messages_and_admins_anyones() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let (anns, bens) = (
        ann.adds(&conversation, "hers").await,
        ben.adds(&conversation, "his").await,
    );
    // A direct conversation has no admin. Of several messages, all or none are erased.
    erases(&ben, &conversation, &[&bens, &anns])
        .await
        .refused(403, "not_allowed");
    assert_eq!(world.count("messages").await, 2);
    erases(&ben, &conversation, &[&bens]).await.ok();
    erases(&ben, &conversation, &[&bens]).await.ok();
    let group = json!({
        "action": "create", "displayname": "n", "participantids": [ben.user],
        "secrets": { &ann.user: "s", &ben.user: "s" }
    });
    let answer = ann.asks("chatconversationgroup", group).await.ok();
    let group = Conversation::of(&answer["conversation"]);
    let (anns, bens) = (
        ann.adds(&group, "hers").await,
        ben.adds(&group, "his").await,
    );
    erases(&ben, &group, &[&anns])
        .await
        .refused(403, "not_allowed");
    erases(&ann, &group, &[&anns, &bens]).await.ok();
    // An admin's erasure does not let a member erase it.
    erases(&ben, &group, &[&anns])
        .await
        .refused(403, "not_allowed");
    let cleo = world.person("Cleo").await;
    erases(&cleo, &group, &[&anns])
        .await
        .refused(404, "conversation_not_found");
    world.end().await;
}

#[tokio::test]
async fn malformed_and_forbidden_erasures_are_refused() {
    let world = World::new().await;
    let (ann, _, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "x").await;
    let published = request("erase", &conversation, json!({ "messageids": [id] }));
    ann.asks("chatconversation", published)
        .await
        .refused(404, "unknown_action");
    let many = vec![id.as_str(); 101];
    erases(&ann, &conversation, &many)
        .await
        .refused(400, "bad_request");
    for wrong in [
        json!({}),
        json!({ "messageids": "x" }),
        json!({ "messageids": ["x"] }),
    ] {
        let fields = request("erase", &conversation, wrong);
        ann.asks_as(4, "chatconversation", fields)
            .await
            .refused(400, "bad_request");
    }
    ann.does("clear", &conversation, json!({})).await.ok();
    erases(&ann, &conversation, &[&id])
        .await
        .refused(409, "stale_instance");
    assert_eq!(world.count("expired_messages").await, 0);
    // A hundred ids of the same message.
    let cleared = ann.lists().await.ok()["conversations"][0].clone();
    let conversation = Conversation::of(&cleared);
    let id = ann.adds(&conversation, "y").await;
    let answer = erases(&ann, &conversation, &vec![id.as_str(); 100])
        .await
        .ok();
    assert_eq!(answer["messageids"], json!([id]));
    world.end().await;
}
