//! Conversations are created once, with a friend and a secret for each.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{Conversation, Hold, World, message};

#[tokio::test]
async fn each_participant_sees_their_own_secret_and_name() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    assert_eq!(
        conversation.id,
        parlance_wire::id::ConversationId::between(
            parlance_wire::id::UserId::parse(&ann.user).unwrap(),
            parlance_wire::id::UserId::parse(&ben.user).unwrap()
        )
        .to_string()
    );
    for person in [&ann, &ben] {
        let seen = person.sees(&conversation).await;
        assert_eq!(seen["secret"], format!("secret for {}", person.name));
        assert_eq!(seen["displayname"], format!("name for {}", person.name));
        let mut ids = [ann.user.clone(), ben.user.clone()];
        ids.sort();
        assert_eq!(seen["participantids"], json!(ids));
        assert_eq!(
            seen["properties"],
            json!([{ "userid": person.user, "ismuted": false, "isfavorite": false, "hideid": "", "listitembackgroundcolor": "#ffffff" }])
        );
        assert_eq!(
            (
                &seen["isgroup"],
                &seen["lastmessageid"],
                &seen["lastreportid"]
            ),
            (&json!(false), &json!(""), &json!(""))
        );
    }
    world.end().await;
}

#[tokio::test]
async fn two_clients_that_create_at_the_same_moment_get_the_same_conversation() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let requests = (0..12).map(|n| {
        let (one, other) = if n % 2 == 0 {
            (&ann, &ben)
        } else {
            (&ben, &ann)
        };
        async move {
            Conversation::of(
                &one.asks("chatconversation", one.creation(other)).await.ok()["conversation"],
            )
        }
    });
    let conversations = join_all(requests).await;
    assert!(
        conversations.windows(2).all(|pair| pair[0] == pair[1]),
        "{conversations:?}"
    );
    assert_eq!(
        (
            world.count("conversations").await,
            world.count("participants").await
        ),
        (1, 2)
    );
    // Creating it again later with other secrets returns the existing one.
    let mut again = ann.creation(&ben);
    again["secrets"][&ann.user] = "another secret".into();
    let answer = ann.asks("chatconversation", again).await.ok();
    assert_eq!(answer["conversation"]["secret"], "secret for Ann");
    world.end().await;
}

#[tokio::test]
async fn a_conversation_is_not_created_after_the_friendship_ended_meanwhile() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let quotas = format!(
        "insert into quotas (user_id) values ('{0}') on conflict do nothing; select from quotas where user_id = '{0}' for update",
        ann.user
    );
    let hold = Hold::by(&world, &quotas).await;
    let creation = async { ann.asks("chatconversation", ann.creation(&ben)).await };
    let end = async {
        hold.is_waited_for(1).await;
        ben.unfriends(&ann).await.ok();
        hold.ends().await;
    };
    let (created, ()) = tokio::join!(creation, end);
    created.refused(403, "not_allowed");
    assert_eq!(world.count("conversations").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_conversation_that_is_created_while_the_friendship_ends_is_ended() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    // Taken by the creation when the friendship is checked already.
    let hold = Hold::by(&world, "lock table participants in exclusive mode").await;
    let creation = async { ann.asks("chatconversation", ann.creation(&ben)).await };
    let end = async {
        hold.is_waited_for(1).await;
        let removal = ben.unfriends(&ann);
        let release = async {
            hold.is_waited_for(2).await;
            hold.ends().await;
        };
        tokio::join!(removal, release).0.ok();
    };
    let (created, ()) = tokio::join!(creation, end);
    let conversation = Conversation::of(&created.ok()["conversation"]);
    for person in [&ann, &ben] {
        let late = json!({ "message": message("too late").to_string() });
        person
            .does("add", &conversation, late)
            .await
            .refused(403, "not_friends");
    }
    world.end().await;
}

#[tokio::test]
async fn a_conversation_requires_a_friend_and_a_secret_for_each() {
    let world = World::new().await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    ann.asks("chatconversation", ann.creation(&ben))
        .await
        .refused(403, "not_allowed");
    ann.requests_friendship(&ben).await.ok();
    ann.asks("chatconversation", ann.creation(&ben))
        .await
        .refused(403, "not_allowed");
    ben.asks("chatconversation", ben.creation(&ann))
        .await
        .refused(403, "not_allowed");
    ben.asks(
        "chatfriends",
        json!({ "action": "accept", "friendid": ann.user }),
    )
    .await
    .ok();

    let with = |field: &str, value: Value| {
        let mut request = ann.creation(&ben);
        request[field] = value;
        request
    };
    for request in [
        with("participantid", json!("x")),
        with("participantid", Value::Null),
        with("participantid", json!(ann.user)),
        with("secrets", json!({})),
        with("secrets", json!({ &ann.user: "mine alone" })),
        with("secrets", json!({ "x": "y" })),
        with("secrets", json!({ &ann.user: "a\u{0}", &ben.user: "b" })),
        with(
            "secrets",
            json!({ &ann.user: "a".repeat(4097), &ben.user: "b" }),
        ),
        with("secrets", json!([])),
        with("displaynames", json!({ &ben.user: "theirs alone" })),
        with("displaynames", json!({ &ann.user: 5, &ben.user: "b" })),
    ] {
        ann.asks("chatconversation", request)
            .await
            .refused(400, "bad_request");
    }
    ann.asks(
        "chatconversation",
        with("participantid", json!("0".repeat(32))),
    )
    .await
    .refused(403, "not_allowed");
    assert_eq!(world.count("conversations").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_conversation_outlives_the_friendship() {
    let world = World::new().await;
    let (ann, ben, conversation) = world.conversation().await;
    ann.unfriends(&ben).await.ok();
    assert_eq!(ben.creates(&ann).await, conversation);
    ben.reads(&conversation).await;
    world.end().await;
}
