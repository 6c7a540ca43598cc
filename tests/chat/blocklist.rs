//! Blocks, and their effects.

use serde_json::{Value, json};

use crate::world::{Changes, Person, Roster, Socket, World, message, request};

async fn list(person: &Person) -> (Vec<String>, Vec<String>) {
    let list = person
        .asks("chatblocklist", json!({ "action": "blocklist" }))
        .await
        .ok();
    let ids = |field: &str| {
        list[field]
            .as_array()
            .unwrap()
            .iter()
            .map(|id| id.as_str().unwrap().to_owned())
            .collect()
    };
    (ids("blockedusers"), ids("blockedconversations"))
}

async fn asks(person: &Person, action: &str, other: &Person) {
    person
        .asks(
            "chatblocklist",
            json!({ "action": action, "userid": other.user }),
        )
        .await
        .ok();
}

#[tokio::test]
async fn a_blocked_user_cannot_write_and_the_blocking_one_can() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let before = message("before");
    ben.does("add", &conversation, json!({ "message": before }))
        .await
        .ok();
    for _ in 0..2 {
        asks(&ann, "block", &ben).await;
        assert_eq!(list(&ann).await.0, [ben.user.clone()]);
    }
    assert_eq!(list(&ben).await.0, Vec::<String>::new());
    ben.does(
        "add",
        &conversation,
        json!({ "message": message("blocked") }),
    )
    .await
    .refused(403, "not_allowed");
    ben.does("clear", &conversation, json!({}))
        .await
        .refused(403, "not_allowed");
    // A retry of a message that was stored before the block gets the truth.
    ben.does("add", &conversation, json!({ "message": before }))
        .await
        .ok();
    ann.adds(&conversation, "not blocked").await;
    assert_eq!(world.count("messages").await, 2);
    for _ in 0..2 {
        asks(&ann, "unblock", &ben).await;
        assert_eq!(list(&ann).await.0, Vec::<String>::new());
    }
    ben.adds(&conversation, "again").await;
    world.end().await;
}

#[tokio::test]
async fn a_blocked_users_request_goes_nowhere_silently() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let befriends = json!({ "action": "add", "friendid": ann.user });
    ben.asks("chatfriends", befriends.clone()).await.ok();
    ben.listens().await;
    let second_device = ann.second_device().await;
    second_device.listens().await;
    asks(&ann, "block", &ben).await;
    assert_eq!(
        ben.hears().await.friends,
        Vec::<String>::new(),
        "a stranger learns nothing of a block"
    );
    assert_eq!(
        second_device.hears().await.friends,
        [ben.user.clone()],
        "the request is gone from one's other stations, too"
    );
    ann.listens().await;
    ben.asks("chatfriends", befriends.clone()).await.ok();
    let waiting = ann
        .asks_as(4, "chatfriends", json!({ "action": "list" }))
        .await
        .ok();
    assert_eq!(waiting["requests"], json!([]));
    assert_eq!(ann.hears().await.friends, Vec::<String>::new());
    assert_eq!(world.count("friendships").await, 0);
    // Nor does it become a friendship when the other user requests one.
    ann.requests_friendship(&ben).await.ok();
    ben.asks("chatfriends", befriends).await.ok();
    ben.asks("chatconversation", ben.creation(&ann))
        .await
        .refused(403, "not_allowed");
    world.end().await;
}

#[tokio::test]
async fn a_blocked_friend_cannot_begin_a_conversation() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    asks(&ann, "block", &ben).await;
    ben.asks("chatconversation", ben.creation(&ann))
        .await
        .refused(403, "not_allowed");
    assert_eq!(world.count("conversations").await, 0);
    world.end().await;
}

#[tokio::test]
async fn the_list_names_the_conversations_hidden_for_good() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.does(
        "hide",
        &conversation,
        json!({ "hideid": format!("{};", conversation.instance) }),
    )
    .await
    .ok();
    assert_eq!(list(&ann).await.1, Vec::<String>::new());
    ann.does("hide", &conversation, json!({})).await.ok();
    assert_eq!(list(&ann).await.1, [conversation.id.clone()]);
    assert_eq!(list(&ben).await.1, Vec::<String>::new());
    world.end().await;
}

#[tokio::test]
async fn only_another_user_can_be_blocked_whether_or_not_they_exist() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    for action in ["block", "unblock"] {
        ann.asks(
            "chatblocklist",
            json!({ "action": action, "userid": "0".repeat(32) }),
        )
        .await
        .ok();
        assert_eq!(
            list(&ann).await.0.len(),
            usize::from(action == "block"),
            "the list must not tell them apart"
        );
        ann.asks(
            "chatblocklist",
            json!({ "action": action, "userid": ann.user }),
        )
        .await
        .refused(400, "bad_request");
        ann.asks("chatblocklist", json!({ "action": action }))
            .await
            .refused(400, "bad_request");
    }
    world.end().await;
}

#[tokio::test]
async fn a_friend_sees_the_one_who_blocks_go_and_come_back() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let second_device = ann.second_device().await;
    for person in [&second_device, &ben] {
        person.listens().await;
    }
    for action in ["block", "unblock"] {
        asks(&ann, action, &ben).await;
        assert_eq!(ben.hears().await.friends, [ann.user.clone()], "{action}");
        assert_eq!(
            second_device.hears().await.friends,
            [ben.user.clone()],
            "{action}"
        );
        // Repeating it notifies nobody.
        asks(&ann, action, &ben).await;
        assert_eq!(
            (
                ben.hears().await.friends,
                second_device.hears().await.friends
            ),
            (vec![], vec![]),
            "{action}"
        );
    }
    world.end().await;
}

#[tokio::test]
async fn a_blocked_ones_reports_and_typing_are_taken_and_go_nowhere() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    let ids = [
        ann.adds(&conversation, "one").await,
        ann.adds(&conversation, "two").await,
    ];
    for person in [&ann, &ben] {
        person.is_available().await;
    }
    asks(&ann, "block", &ben).await;
    let (mut anns, mut bens) = (Socket::of(&ann, 4).await, Socket::of(&ben, 4).await);
    let typing = json!({ "action": "typing", "conversationid": conversation.id }).to_string();
    bens.says(&typing).await;
    ben.views(&conversation, &ids).await.ok();
    ben.views(&conversation, &ids).await.ok();
    bens.hears_nothing().await;
    anns.hears_nothing().await;
    assert_eq!(world.count("reports").await, 0);
    // To himself the messages are read, as if nothing had happened.
    let listed = ben
        .asks_as(4, "chatconversation", json!({ "action": "list" }))
        .await
        .ok();
    assert_eq!(listed["conversations"][0]["unread"], json!(0));
    // The other way nothing changes.
    anns.says(&typing).await;
    assert_eq!(bens.hears().await["typing"][0]["userid"], ann.user);
    asks(&ann, "unblock", &ben).await;
    ben.views(&conversation, &ids).await.ok();
    assert_eq!(world.count("reports").await, 2);
    world.end().await;
}

#[tokio::test]
async fn one_who_is_blocked_or_no_friend_any_more_wakes_the_other_by_no_action() {
    for is_block in [true, false] {
        let world = World::new().await;
        let (ann, ben) = world.friends().await;
        let card = ben.first_card(ben.server_id().await);
        ann.has_card().await;
        ben.publishes(&card).await.ok();
        let (conversation, first) = ann.creates_with_epoch(&ben).await;
        let (present, second) = ben.rekeying(&conversation, Some(&first), &Roster::default());
        ben.asks_as(4, "chatconversation", present.clone())
            .await
            .ok();
        let old = message("said before");
        ben.adds_in(&conversation, 2, &old).await.ok();
        let hers = message("hers");
        ann.adds_in(&conversation, 2, &hers).await.ok();
        // So that his socket, of which friends are notified later, changes nothing.
        ben.is_available().await;
        let mut socket = Socket::of(&ben, 4).await;
        if is_block {
            ann.blocks(&ben).await.ok();
        } else {
            ann.unfriends(&ben).await.ok();
        }
        ann.listens().await;
        let of =
            |action: &str, fields| ("chatconversation", request(action, &conversation, fields));
        let (next, _) = ben.rekeying(&conversation, Some(&second), &Roster::default());
        let actions = [
            ("chatconversation", present),
            ("chatconversation", next),
            ("chatconversation", ben.creation_with_epoch(&ann).0),
            of("add", json!({ "message": old, "epoch": 2 })),
            of("erase", json!({ "messageids": [old["ID"]] })),
            of("erase", json!({ "messageids": ["ab".repeat(16)] })),
            of("shareepochs", json!({ "userid": ann.user, "secrets": {} })),
            of("clear", json!({})),
            (
                "chatreports",
                request(
                    "viewed",
                    &conversation,
                    json!({ "messageids": [hers["ID"]] }),
                ),
            ),
            ("chatavailability", json!({ "action": "useraway" })),
            (
                "chatblocklist",
                json!({ "action": "block", "userid": ann.user }),
            ),
            (
                "chatblocklist",
                json!({ "action": "unblock", "userid": ann.user }),
            ),
        ];
        for (api, action) in actions {
            wakes_nobody(&ben, &ann, api, action).await;
        }
        for card in [&card, &ben.next_card(&card.card, 2, Some(1))] {
            ben.publishes(card).await.ok();
            assert_eq!(ann.hears().await, Changes::default(), "a card");
        }
        if is_block {
            // A request of friendship, and an invitation, would be for others to make.
            let group = json!({
                "action": "create", "displayname": "g", "participantids": [ann.user],
                "secrets": { &ann.user: "s", &ben.user: "s" },
            });
            wakes_nobody(&ben, &ann, "chatconversationgroup", group).await;
            for action in ["remove", "add", "remove"] {
                let friends = json!({ "action": action, "friendid": ann.user });
                wakes_nobody(&ben, &ann, "chatfriends", friends).await;
            }
        }
        socket.drain().await;
        let mut hers = Socket::open(&ann, 4).await;
        hers.drain().await;
        socket
            .says(&json!({ "action": "typing", "conversationid": conversation.id }).to_string())
            .await;
        socket.drain().await;
        hers.hears_nothing().await;
        world.end().await;
    }
}

async fn wakes_nobody(person: &Person, other: &Person, api: &str, action: Value) {
    let answer = person.asks_as(4, api, action.clone()).await;
    assert!(
        matches!(answer.status, 200 | 403 | 409),
        "{action} {answer:?}"
    );
    assert_eq!(other.hears().await, Changes::default(), "{action}");
}
