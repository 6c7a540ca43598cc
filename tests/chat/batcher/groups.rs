//! A group's members change while entries wait for its lock.

use super::{add, asks, commits};
use serde_json::json;

use crate::world::{Changes, Conversation, Hold, Person, World, eventually, message, request};

/// A group of Ann, who is its admin, and Ben.
async fn group(ann: &Person, ben: &Person) -> Conversation {
    let secrets = json!({ &ann.user: "s", &ben.user: "s" });
    let create = json!({ "action": "create", "displayname": "group", "participantids": [ben.user], "secrets": secrets });
    Conversation::of(&ann.asks("chatconversationgroup", create).await.ok()["conversation"])
}

#[tokio::test]
async fn a_user_who_is_added_while_an_entry_waits_for_the_lock_is_notified_of_it() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cyd = world.person("Cyd").await;
    ann.befriends(&cyd).await;
    for kind in ["add", "viewed", "clear"] {
        let conversation = group(&ann, &ben).await;
        let id = ann.adds(&conversation, "before").await;
        let hold = Hold::of(&world, &conversation).await;
        let join = json!({
            "action": "addparticipants", "conversationid": conversation.id, "participantids": [cyd.user], "secrets": { &cyd.user: "s" },
            "displaynames": { &cyd.user: "group" },
        });
        let joined = asks(&ann, "chatconversationgroup", join);
        hold.is_waited_for(1).await;
        let (api, request) = match kind {
            "add" => ("chatconversation", add(&conversation, &message("x"))),
            "viewed" => (
                "chatreports",
                json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [id] }),
            ),
            _ => (
                "chatconversation",
                request("clear", &conversation, json!({})),
            ),
        };
        let asked = asks(&ann, api, request);
        // Waiters get the lock in the order in which they asked for it.
        hold.is_waited_for(2).await;
        cyd.hears().await;
        hold.ends().await;
        joined.await.unwrap().ok();
        asked.await.unwrap().ok();
        assert!(
            cyd.hears().await.conversations.contains(&conversation.id),
            "{kind}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_group_whose_members_change_does_not_hold_up_reports_elsewhere() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let cyd = world.person("Cyd").await;
    ann.befriends(&cyd).await;
    let (group, opening) = (group(&ann, &ben).await, ann.creates(&cyd).await);
    let viewed = |conversation: &Conversation, id: &String| json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [id] });
    let mut requests = vec![];
    for conversation in [&opening, &group, &conversation] {
        requests.push(viewed(conversation, &ann.adds(conversation, "x").await));
    }
    let (hold, opens) = (
        Hold::of(&world, &group).await,
        Hold::of(&world, &opening).await,
    );
    let first = asks(&ann, "chatreports", requests.remove(0));
    opens.is_waited_for(1).await;
    let join = json!({
        "action": "addparticipants", "conversationid": group.id, "participantids": [cyd.user], "secrets": { &cyd.user: "s" },
        "displaynames": { &cyd.user: "group" },
    });
    let joined = asks(&ann, "chatconversationgroup", join);
    hold.is_waited_for(2).await;
    // These two are one batch.
    let others: Vec<_> = requests
        .into_iter()
        .map(|request| asks(&ann, "chatreports", request))
        .collect();
    eventually("both wait", async || world.waiting() == 2).await;
    opens.ends().await;
    first.await.unwrap().ok();
    hold.is_waited_for(2).await;
    hold.ends().await;
    joined.await.unwrap().ok();
    for asked in others {
        asked.await.unwrap().ok();
    }
    // The message of the other conversation did not wait for the group's retry.
    assert_eq!(
        (
            world.count("reports").await,
            commits(&world, "reports").await
        ),
        (3, 3)
    );
    world.end().await;
}

#[tokio::test]
async fn a_user_who_leaves_while_their_message_or_report_waits_for_the_lock_adds_nothing() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    for kind in ["add", "viewed"] {
        for goes in ["removeparticipants", "leave"] {
            let conversation = group(&ann, &ben).await;
            let id = ann.adds(&conversation, "before").await;
            ben.hears().await;
            let hold = Hold::of(&world, &conversation).await;
            let request = json!({ "action": goes, "conversationid": conversation.id, "participantids": [ben.user] });
            let gone = asks(
                if goes == "leave" { &ben } else { &ann },
                "chatconversationgroup",
                request,
            );
            hold.is_waited_for(1).await;
            let (api, request) = match kind {
                "add" => ("chatconversation", add(&conversation, &message("too late"))),
                _ => (
                    "chatreports",
                    json!({ "action": "viewed", "conversationid": conversation.id, "instance": conversation.instance, "messageids": [id] }),
                ),
            };
            let asked = asks(&ben, api, request);
            hold.is_waited_for(2).await;
            hold.ends().await;
            gone.await.unwrap().ok();
            asked.await.unwrap().refused(404, "conversation_not_found");
            assert_eq!(
                ben.hears().await.conversations,
                Changes::default().conversations
            );
            ann.adds(&conversation, "without Ben").await;
        }
    }
    world.end().await;
}
