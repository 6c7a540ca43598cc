//! How fast a user may write, change their availability, and look others up.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{is_used_up, with};
use crate::world::{Answer, Conversation, Person, Roster, key, message, public_key, request, sign};

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

#[tokio::test]
async fn changes_that_others_are_notified_of_are_limited_by_the_minute_of_whatever_kind() {
    let world = with(|limits| limits.changes = 5).await;
    let (ann, ben) = world.friends().await;
    let card = ann.first_card(ann.server_id().await);
    ann.publishes(&card).await.ok();
    let (group, epoch) = ann.creates_group_with_epoch(&[&ben]).await;
    let of = |action: &str, fields| request(action, &group, fields);
    let rename = of("rename", json!({ "displaynames": { &ben.user: "n" } }));
    let groups = "chatconversationgroup";
    // The last one changes nothing, and is announced all the same.
    for _ in 0..3 {
        ann.asks(groups, rename.clone()).await.ok();
    }
    let same = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    let (rekey, _) = ann.rekeying(&group, Some(&epoch), &same);
    let conversations = "chatconversation";
    let password = json!({
        "action": "changepassword", "apikey": "a new apikey of Ann", "rsakey": "a vault", "version": 1,
    });
    let mut password_with_card = password.clone();
    password_with_card["card"] = serde_json::to_value(&card).unwrap();
    let pair = key("Ann's second");
    let new_key = public_key(&pair);
    let proof = sign(
        &pair,
        &format!("parlance new key 1\n{}\n{new_key}", ann.user),
    );
    for (api, action) in [
        ("chatlogin", password_with_card),
        (
            "chatlogin",
            json!({
                "action": "changekeys", "publickey": new_key, "proof": proof, "rsakey": "a vault", "version": 1,
            }),
        ),
        (groups, rename),
        (groups, ann.group_with_epoch(&[&ben]).0),
        (
            groups,
            of(
                "addparticipants",
                json!({ "participantids": [ben.user], "secrets": { &ben.user: "s" } }),
            ),
        ),
        (
            groups,
            of(
                "removeparticipants",
                json!({ "participantids": [ben.user] }),
            ),
        ),
        (
            groups,
            of(
                "setrole",
                json!({ "participantid": ben.user, "role": "admin" }),
            ),
        ),
        (conversations, rekey),
        (conversations, of("clear", json!({}))),
        (
            conversations,
            of("erase", json!({ "messageids": ["ab".repeat(16)] })),
        ),
        (
            conversations,
            of("shareepochs", json!({ "userid": ben.user, "secrets": {} })),
        ),
        (
            "chatblocklist",
            json!({ "action": "block", "userid": ben.user }),
        ),
        (
            "chatblocklist",
            json!({ "action": "unblock", "userid": ben.user }),
        ),
        (
            "chatfriends",
            json!({ "action": "remove", "friendid": ben.user }),
        ),
    ] {
        is_used_up(&ann.asks_as(4, api, action).await, "5", 60);
    }
    is_used_up(&ann.publishes(&card).await, "5", 60);
    // A vault is large, so it counts, too, though it affects nobody else.
    is_used_up(&ann.asks_as(4, "chatlogin", password).await, "5", 60);
    // Other actions that affect nobody else are still allowed, and so are other users.
    ann.asks(conversations, of("favorite", json!({})))
        .await
        .ok();
    ann.asks(
        groups,
        json!({ "action": "leave", "conversationid": group.id }),
    )
    .await
    .ok();
    ben.asks(
        groups,
        of("rename", json!({ "displaynames": { &ben.user: "n" } })),
    )
    .await
    .ok();
    world.end().await;
}

#[tokio::test]
async fn changes_of_ones_own_settings_are_limited_by_the_minute_of_whatever_kind() {
    let world = with(|limits| limits.own_changes = 4).await;
    let (ann, ben, conversation) = world.conversation().await;
    // Ann has asked Ben, who has answered: each has counted one.
    let of = |action: &str, fields| request(action, &conversation, fields);
    let conversations = "chatconversation";
    for action in ["favorite", "unfavorite", "favorite"] {
        ann.asks(conversations, of(action, json!({}))).await.ok();
    }
    let account = |action: &str, mut fields: Value| {
        fields["action"] = action.into();
        ("chatlogin", fields)
    };
    let vault = json!({ "rsakey": "a vault", "version": 1 });
    let vault_and = |field: &str, value: &str| {
        let mut fields = vault.clone();
        fields[field] = value.into();
        fields
    };
    for (api, action) in [
        (conversations, of("favorite", json!({}))),
        (conversations, of("unfavorite", json!({}))),
        (conversations, of("mute", json!({}))),
        (conversations, of("unmute", json!({}))),
        (conversations, of("hide", json!({}))),
        (conversations, of("unhide", json!({}))),
        (
            conversations,
            of("setlistitembackgroundcolor", json!({ "color": "#bae1ff" })),
        ),
        account("invite", json!({})),
        account("revokeinvite", json!({ "inviteid": "ab".repeat(16) })),
        account("profile", json!({ "fullname": "Another" })),
        account(
            "enablepush",
            json!({ "endpoint": "https://push.example.org/x" }),
        ),
        account("disablepush", json!({})),
        account("ackpush", json!({})),
        account("changevault", vault.clone()),
        account("changepassword", vault_and("apikey", "a new apikey of Ann")),
        account(
            "changerecovery",
            vault_and("recoverykey", "a recovery key of Ann"),
        ),
        account("changekeys", {
            let mut fields = vault_and("publickey", &public_key(&ann.key));
            fields["proof"] = "".into();
            fields
        }),
        (
            "chatfriends",
            json!({ "action": "add", "friendid": ben.user }),
        ),
        (
            "chatfriends",
            json!({ "action": "accept", "friendid": ben.user }),
        ),
    ] {
        is_used_up(&ann.asks_as(4, api, action).await, "4", 60);
    }
    // She reads, writes, and ends access to her account; others go on.
    ann.adds(&conversation, "said").await;
    ann.reads(&conversation).await;
    for (api, action) in [
        account("signout", json!({ "others": true })),
        account("revoke", json!({ "keyid": "ab".repeat(16) })),
    ] {
        ann.asks_as(4, api, action).await.ok();
    }
    ben.asks(conversations, of("favorite", json!({})))
        .await
        .ok();
    world.end().await;
}

#[tokio::test]
async fn a_station_that_uses_up_the_changes_leaves_some_to_each_other_station() {
    let world = with(|limits| {
        limits.changes = 10;
        limits.own_changes = 10;
    })
    .await;
    let (ann, ben, conversation) = world.conversation().await;
    let stolen = ann.second_device().await;
    let others = [ann.second_device().await, ann.second_device().await];
    // Nobody else is notified of the first, in contrast to the second.
    for (api, action) in [
        (
            "chatconversation",
            request("favorite", &conversation, json!({})),
        ),
        (
            "chatblocklist",
            json!({ "action": "unblock", "userid": ben.user }),
        ),
    ] {
        let does = async |person: &Person| person.asks_as(4, api, action.clone()).await;
        let mut done = 0;
        while does(&stolen).await.status == 200 {
            done += 1;
            assert!(done < 20, "without end");
        }
        is_used_up(&does(&stolen).await, "10", 60);
        for station in &others {
            does(station).await.ok();
            is_used_up(&does(station).await, "10", 60);
        }
    }
    world.end().await;
}

#[tokio::test]
async fn secrets_of_epochs_are_limited_by_the_hour() {
    let world = with(|limits| limits.epoch_secrets = 5).await;
    let (ann, ben) = world.friends().await;
    for person in [&ann, &ben] {
        person.has_card().await;
    }
    let (group, first) = ann.creates_group_with_epoch(&[&ben]).await;
    let same = Roster {
        admins: vec![&ann],
        ..Roster::default()
    };
    let second = ann.rekeys(&group, &first, &same).await;
    let asks = async |person: &Person, request: Value| {
        person.asks_as(4, "chatconversation", request).await
    };
    // One is left, and two are asked for.
    let (next, _) = ann.rekeying(&group, Some(&second), &same);
    is_used_up(&asks(&ann, next).await, "5", 3600);
    is_used_up(
        &ann.asks_as(4, "chatconversationgroup", ann.group_with_epoch(&[&ben]).0)
            .await,
        "5",
        3600,
    );
    let (his, _) = ben.rekeying(&group, Some(&second), &same);
    asks(&ben, his).await.ok();
    world.end().await;
}
