//! Access to conversations, missing and malformed fields, and who is notified.

use serde_json::json;

use super::{FLAGS, flag};
use crate::world::{Changes, Conversation, World, message, request};

#[tokio::test]
async fn a_foreign_conversation_and_one_that_is_not_there_look_alike() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let id = ann.adds(&conversation, "private").await;
    let cleo = world.person("Cleo").await;
    let nowhere = Conversation {
        id: "0".repeat(32),
        instance: conversation.instance.clone(),
    };
    let others = Conversation {
        id: conversation.id.clone(),
        instance: "AAAAAAAAAA".into(),
    };
    let mut refusals = vec![];
    for conversation in [&conversation, &others, &nowhere] {
        for action in FLAGS {
            refusals.push(
                cleo.asks("chatconversation", flag(action, conversation))
                    .await,
            );
        }
        for request in [
            request(
                "add",
                conversation,
                json!({ "message": message("intruder") }),
            ),
            request("download", conversation, json!({})),
            request("download", conversation, json!({ "firstmessageid": id })),
            request("downloadpartial", conversation, json!({})),
            request("clear", conversation, json!({})),
        ] {
            refusals.push(cleo.asks("chatconversation", request).await);
        }
        for action in ["viewed", "delivered"] {
            let report = json!({ "action": action, "conversationid": conversation.id, "instance": conversation.instance, "messageids": [id] });
            refusals.push(cleo.asks("chatreports", report).await);
        }
    }
    for refusal in &refusals {
        refusal.refused(404, "conversation_not_found");
        assert_eq!(refusal.text, refusals[0].text);
    }
    assert_eq!(cleo.lists().await.ok()["conversations"], json!([]));
    assert_eq!(
        (world.count("messages").await, world.count("reports").await),
        (1, 0)
    );
    assert_eq!(
        ann.sees(&conversation).await["instance"],
        conversation.instance
    );
    world.end().await;
}

#[tokio::test]
async fn both_are_notified_of_a_new_conversation_and_of_a_clear_but_of_properties_only_their_owner()
{
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let second_device = ann.second_device().await;
    for person in [&ann, &ben, &second_device] {
        person.listens().await;
    }
    let listed = |user: &str| Changes {
        lists: vec![user.to_owned()],
        ..Changes::default()
    };
    let conversation = ann.creates(&ben).await;
    for person in [&ann, &ben, &second_device] {
        assert_eq!(person.hears().await, listed(&person.user));
    }
    ben.creates(&ann).await;
    assert_eq!(ben.hears().await, Changes::default());
    for action in FLAGS {
        ann.asks("chatconversation", flag(action, &conversation))
            .await
            .ok();
        assert_eq!(second_device.hears().await, listed(&ann.user), "{action}");
        assert_eq!(ben.hears().await, Changes::default(), "{action}");
    }
    ann.hears().await;
    ann.does("clear", &conversation, json!({})).await.ok();
    for person in [&ann, &ben, &second_device] {
        assert_eq!(
            person.hears().await,
            Changes {
                conversations: vec![conversation.id.clone()],
                ..listed(&person.user)
            }
        );
    }
    world.end().await;
}

#[tokio::test]
async fn each_action_names_the_field_that_is_missing_or_wrong() {
    let world = World::new().await;
    let (ann, _ben, conversation) = world.conversation().await;
    let whole = |action: &str| {
        request(
            action,
            &conversation,
            json!({ "message": message("x"), "color": "#ffffff" }),
        )
    };
    for (action, fields) in [
        ("add", &["conversationid", "instance", "message"][..]),
        ("download", &["conversationid", "instance"]),
        ("downloadpartial", &["conversationid", "instance"]),
        ("clear", &["conversationid", "instance"]),
        ("favorite", &["conversationid"]),
        ("unfavorite", &["conversationid"]),
        ("mute", &["conversationid"]),
        ("unmute", &["conversationid"]),
        ("hide", &["conversationid"]),
        ("unhide", &["conversationid"]),
        ("setlistitembackgroundcolor", &["conversationid", "color"]),
    ] {
        for field in fields {
            let mut request = whole(action);
            request.as_object_mut().unwrap().remove(*field);
            let refusal = ann
                .asks("chatconversation", request.clone())
                .await
                .refused(400, "bad_request");
            assert_eq!(
                refusal["errormessage"],
                format!("{field} is missing."),
                "{action}"
            );
            for wrong in [
                json!(null),
                json!(5),
                json!([]),
                json!({}),
                json!("x"),
                json!(""),
                json!("x".repeat(100_000)),
                json!("'; drop table messages; --"),
                json!("a\u{0}"),
            ] {
                request[*field] = wrong.clone();
                let refusal = ann
                    .asks("chatconversation", request.clone())
                    .await
                    .refused(400, "bad_request");
                let sentence = refusal["errormessage"].as_str().unwrap();
                assert!(
                    sentence.starts_with(field) && sentence.len() < 400,
                    "{action} {wrong}: {sentence}"
                );
            }
        }
    }
    assert_eq!(world.count("messages").await, 0);
    world.end().await;
}
