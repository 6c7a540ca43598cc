//! How fast a user may write, change their availability, and look others up.

use serde_json::json;
use uuid::Uuid;

use super::{is_used_up, with};
use crate::world::{Answer, Conversation, Person, message};

async fn adds(person: &Person, conversation: &Conversation, data: &str) -> Answer {
    let fields = json!({ "message": message(data).to_string() });
    person.does("add", conversation, fields).await
}

#[tokio::test]
async fn messages_and_their_bytes_are_limited_by_the_minute_and_for_one_user_alone() {
    let world = with(|limits| {
        limits.messages = 6;
        limits.message_bytes = 1000;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    for _ in 0..5 {
        adds(&ann, &conversation, "x").await.ok();
    }
    // The sixth one is larger than what is left of the bytes. It is not counted as a message.
    is_used_up(
        &adds(&ann, &conversation, &"x".repeat(1000)).await,
        "1000",
        60,
    );
    adds(&ann, &conversation, &"x".repeat(900)).await.ok();
    is_used_up(&adds(&ann, &conversation, "x").await, "6", 60);
    // Ben writes, also what takes more than a minute allows, once.
    adds(&ben, &conversation, &"x".repeat(2000)).await.ok();
    is_used_up(&adds(&ben, &conversation, "x").await, "1000", 120);
    // Reading is not writing.
    ann.reads(&conversation).await;
    world.end().await;
}

#[tokio::test]
async fn changes_of_the_availability_are_limited_by_the_minute() {
    let world = with(|limits| limits.presence_changes = 4).await;
    let (ann, ben) = world.friends().await;
    for n in 0..4 {
        let action = if n % 2 == 0 {
            "useraway"
        } else {
            "useravailable"
        };
        ann.sets_availability(action).await.ok();
    }
    is_used_up(&ann.sets_availability("userbusy").await, "4", 60);
    ben.sets_availability("useraway").await.ok();
    assert_eq!(ben.friend_is().await, "available");
    world.end().await;
}

#[tokio::test]
async fn calls_that_name_strangers_are_limited_by_the_hour_whoever_they_name() {
    let world = with(|limits| limits.lookups = 8).await;
    let (ann, ben) = world.friends().await;
    let cleo = world.person("Cleo").await;
    // Befriending Ben has taken one.
    let stranger = || Uuid::new_v4().simple().to_string();
    let requests = [
        ("chatfriends", "add", "friendid", 200),
        ("chatfriends", "remove", "friendid", 200),
        ("chatfriends", "accept", "friendid", 403),
        ("chatblocklist", "block", "userid", 200),
        ("chatblocklist", "unblock", "userid", 200),
        ("chatconversation", "create", "participantid", 403),
    ];
    let request = |api: &'static str, action: &str, field: &str, id: &str| {
        let mut fields = json!({ "action": action, field: id });
        if api == "chatconversation" {
            fields["secrets"] = json!({ id: "s" });
            fields["displaynames"] = json!({ id: "d" });
        }
        ann.asks(api, fields)
    };
    for (api, action, field, status) in requests {
        let answer = request(api, action, field, &stranger()).await;
        assert_eq!(answer.status, status, "{action} {answer:?}");
    }
    request("chatfriends", "add", "friendid", &cleo.user)
        .await
        .ok();
    for id in [&stranger(), &cleo.user] {
        for (api, action, field, _) in requests {
            is_used_up(&request(api, action, field, id).await, "8", 3600);
        }
    }
    // Friends are no strangers, and others have their own.
    request("chatblocklist", "block", "userid", &ben.user)
        .await
        .ok();
    request("chatblocklist", "unblock", "userid", &ben.user)
        .await
        .ok();
    cleo.requests_friendship(&ben).await.ok();
    world.end().await;
}

#[tokio::test]
async fn friend_requests_are_limited_by_the_day_on_all_nodes_and_tell_nothing_of_whom_they_name() {
    let world = with(|limits| limits.friend_requests = 4).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    let other = world
        .another_with(|settings| settings.per_user.friend_requests = 4)
        .await;
    let there = Person {
        world: other.clone(),
        ..ann.clone()
    };
    cleo.blocks(&ann).await.ok();
    let asks = async |person: &Person, id: &str| {
        person
            .asks("chatfriends", json!({ "action": "add", "friendid": id }))
            .await
    };
    let nobody = Uuid::new_v4().simple().to_string();
    // One who is there, the same one again, one who has blocked her, and nobody: each counts.
    for (person, id) in [
        (&ann, &ben.user),
        (&there, &ben.user),
        (&ann, &cleo.user),
        (&there, &nobody),
    ] {
        asks(person, id).await.ok();
    }
    for id in [&ben.user, &cleo.user, &dan.user, &nobody] {
        is_used_up(&asks(&ann, id).await, "4", 86_400);
        is_used_up(&asks(&there, id).await, "4", 86_400);
    }
    assert_eq!(world.count("friendships").await, 1);
    // An answer is no request.
    dan.requests_friendship(&ann).await.ok();
    asks(&ann, &dan.user).await.ok();
    other.stop().await;
    world.end().await;
}
