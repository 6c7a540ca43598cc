//! Deleting an account: which rows are deleted, which stay for others, and that nothing comes back.

use serde_json::{Value, json};
use uuid::Uuid;

use super::register;
use crate::world::{Conversation, Person, Socket, World, eventually, message};

pub(super) const KEY: &str = "the apikey of Ann";

pub(super) async fn deletes(person: &Person, apikey: &str) -> crate::world::Answer {
    person
        .account(json!({ "action": "delete", "apikey": apikey }))
        .await
}

async fn friends(person: &Person) -> Value {
    person
        .asks_as(4, "chatfriends", json!({ "action": "list" }))
        .await
        .ok()
}

async fn group(creator: &Person, others: &[&Person]) -> Conversation {
    let secrets: serde_json::Map<String, Value> = others
        .iter()
        .chain([&creator])
        .map(|person| (person.user.clone(), "s".into()))
        .collect();
    let ids: Vec<_> = others.iter().map(|person| &person.user).collect();
    let create = json!({ "action": "create", "displayname": "g", "participantids": ids, "secrets": secrets });
    Conversation::of(&creator.asks("chatconversationgroup", create).await.ok()["conversation"])
}

/// Waits until someone is notified that their list has changed and, with `friend`, that this friend
/// has.
async fn hears_of_list(person: &Person, friend: Option<&Person>) {
    let (mut list, mut told) = (false, friend.is_none());
    eventually("news", async || {
        let heard = person.hears().await;
        list |= !heard.lists.is_empty();
        told |= friend.is_some_and(|friend| heard.friends.contains(&friend.user));
        list && told
    })
    .await;
}

/// Number of rows of a table that have a user in this column.
pub(super) async fn rows(world: &World, table: &str, column: &str, user: &str) -> i64 {
    world
        .count(&format!("{table} where {column} = '{user}'"))
        .await
}

#[tokio::test]
async fn an_account_that_is_deleted_leaves_its_groups_and_its_messages_lose_their_content() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    ben.befriends(&cleo).await;
    let group = group(&ben, &[&ann, &cleo]).await;
    for conversation in [&direct, &group] {
        for n in 0..10 {
            let id = ann.adds(conversation, &format!("said by Ann {n}")).await;
            ben.views(conversation, &[id]).await.ok();
        }
        ben.adds(conversation, "said by Ben").await;
        // Caches are updated as well.
        assert_eq!(
            ben.reads(conversation).await["messages"]
                .as_array()
                .unwrap()
                .len(),
            11
        );
        ben.reads(conversation).await;
    }
    let mut socket = Socket::of(&ann, 4).await;
    for person in [&ben, &cleo] {
        person.hears().await;
    }

    deletes(&ann, "another apikey of Ann")
        .await
        .refused(401, "login_failed");
    deletes(&ann, KEY).await.ok();
    socket.ends().await;
    ann.lists().await.refused(401, "signature_invalid");
    let login = json!({ "action": "login", "apikey": KEY }).to_string();
    world
        .posts(
            "chatserver",
            "chatlogin",
            &[("Ozeki-Station", &ann.station)],
            &login,
        )
        .await
        .refused(401, "login_failed");

    // The users concerned are notified.
    hears_of_list(&ben, Some(&ann)).await;
    hears_of_list(&cleo, None).await;
    assert_eq!(
        cleo.sees(&group).await["participantids"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let list = friends(&ben).await;
    assert_eq!(
        (&list["friends"], &list["left"]),
        (
            &json!({ &cleo.user: "Cleo" }),
            &json!([{ "friendid": ann.user, "friendname": "Ann" }])
        )
    );
    let published = ben.lists_friends().await.ok();
    assert_eq!(published.get("left"), None);

    // The content is deleted, but the links remain, and messages of others are unchanged.
    eventually("the erasure", async || world.count("erasures").await == 0).await;
    assert_eq!(rows(&world, "messages", "user_id", &ann.user).await, 0);
    assert_eq!(
        rows(&world, "expired_messages", "user_id", &ann.user).await,
        20
    );
    for conversation in [&direct, &group] {
        eventually("no page with what is gone", async || {
            let page = ben.reads(conversation).await;
            page["messages"].as_array().unwrap().len() == 1 && page["reports"] == json!([])
        })
        .await;
        let transcript = json!({ "action": "transcript", "conversationid": conversation.id, "instance": conversation.instance });
        let links = ben.asks_as(4, "chatconversation", transcript).await.ok();
        assert_eq!(links["transcript"].as_array().unwrap().len(), 11);
    }
    ben.adds(&group, "and it goes on").await;
    for table in [
        "credentials",
        "stations",
        "friendships",
        "blocks",
        "workspaces",
        "quotas",
        "departures",
        "left_friends",
    ] {
        assert_eq!(
            rows(&world, table, "user_id", &ann.user).await,
            0,
            "{table}"
        );
    }
    let left: String =
        sqlx::query_scalar("select users::text from users where deleted_at is not null")
            .fetch_one(&world.db)
            .await
            .unwrap();
    assert!(
        !left.contains("Ann") && !left.contains("example.org"),
        "{left}"
    );
    // A friend who has left can be removed, once.
    let remove = json!({ "action": "remove", "friendid": ann.user });
    ben.asks("chatfriends", remove.clone()).await.ok();
    assert_eq!(friends(&ben).await["left"], json!([]));
    ben.asks("chatfriends", remove).await.ok();
    world.end().await;
}

#[tokio::test]
async fn a_freed_address_can_be_registered_again_and_inherits_nothing() {
    let world = World::new().await;
    let (ann, ben, direct) = world.conversation().await;
    let cleo = world.person("Cleo").await;
    cleo.requests_friendship(&ann).await.ok();
    ann.adds(&direct, "said by the first").await;
    deletes(&ann, KEY).await.ok();
    // The deleted user cannot be reached any more.
    let add = json!({ "action": "add", "email": "ann@example.org" });
    ben.asks("chatfriends", add.clone()).await.ok();
    let create = json!({
        "action": "create", "displayname": "g", "participantids": [ann.user], "secrets": { &ann.user: "s", &ben.user: "s" },
    });
    ben.asks("chatconversationgroup", create).await.ok();
    let reached = format!(
        "friendships where friend_id = '{0}' or user_id = '{0}'",
        ann.user
    );
    assert_eq!(
        world.count(&reached).await + world.count("invitations").await,
        0
    );

    register(&world, "Ann", None).await.ok();
    let second = world.person("Ann").await;
    assert_eq!(second.user, ann.user, "the id follows from the address");
    let list = friends(&second).await;
    assert_eq!(
        (&list["friends"], &list["requests"]),
        (&json!({}), &json!([]))
    );
    assert_eq!(second.sees(&direct).await["secret"], "");
    // Ben's list has the first one as left until he befriends the second.
    assert_eq!(friends(&ben).await["left"][0]["friendid"], ann.user);
    // Neither writes to the other before that.
    for person in [&second, &ben] {
        let add = json!({ "message": message("unasked").to_string() });
        person
            .does("add", &direct, add)
            .await
            .refused(403, "not_friends");
    }
    second.befriends(&ben).await;
    let list = friends(&ben).await;
    assert_eq!(
        (&list["friends"], &list["left"]),
        (&json!({ &ann.user: "Ann" }), &json!([]))
    );
    // Messages of the second one stay.
    second.adds(&direct, "said by the second").await;
    eventually("the erasure", async || world.count("erasures").await == 0).await;
    let read = ben.reads(&direct).await;
    assert_eq!(read["messages"].as_array().unwrap().len(), 1, "{read}");
    world.end().await;
}

#[tokio::test]
async fn cards_and_secrets_go_with_an_account_and_the_key_log_goes_on() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let card = ann.first_card(ann.server_id().await);
    ann.publishes(&card).await.ok();
    ann.creates_with_epoch(&ben).await;
    ann.creates_group_with_epoch(&[&ben]).await;
    deletes(&ann, KEY).await.ok();
    for table in ["cards", "epoch_secrets"] {
        assert_eq!(rows(&world, table, "user_id", &ann.user).await, 0);
    }
    assert_eq!(rows(&world, "epoch_secrets", "user_id", &ben.user).await, 2);
    assert_eq!(ben.log_head().await.head.size(), 1);

    register(&world, "Ann", None).await.ok();
    let second = world.person("Ann").await;
    second
        .publishes(&second.first_of(2, second.server_id().await))
        .await
        .refused(409, "stale_card");
    second
        .publishes(&second.next_card(&card.card, 2, None))
        .await
        .ok();
    let findings = parlance::store::doctor::examine(&world.store)
        .await
        .unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    world.end().await;
}

#[tokio::test]
async fn a_user_who_is_added_to_groups_during_their_deletion_ends_up_in_none() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let create = json!({
        "action": "create", "displayname": "g", "participantids": [ann.user], "secrets": { &ann.user: "s", &ben.user: "s" },
    });
    let creations = futures_util::future::join_all(
        (0..12).map(|_| ben.asks("chatconversationgroup", create.clone())),
    );
    let (deleted, created) = tokio::join!(deletes(&ann, KEY), creations);
    deleted.ok();
    for answer in created {
        assert!([200, 404].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(rows(&world, "participants", "user_id", &ann.user).await, 0);
    assert_eq!(rows(&world, "invitations", "user_id", &ann.user).await, 0);
    world.end().await;
}

#[tokio::test]
async fn an_apikey_is_guessed_no_faster_by_deleting_than_by_logging_in() {
    let world = World::with(|settings| settings.login_tries = 3).await;
    let (ann, ben) = (world.person("Ann").await, world.person("Ben").await);
    for _ in 0..3 {
        deletes(&ann, "a wrong apikey")
            .await
            .refused(401, "login_failed");
    }
    deletes(&ann, KEY).await.refused(429, "rate_limited");
    deletes(&ben, "the apikey of Ben").await.ok();
    for wrong in [json!({}), json!({ "apikey": "" }), json!({ "apikey": 5 })] {
        let mut delete = wrong;
        delete["action"] = "delete".into();
        ann.account(delete).await.refused(400, "bad_request");
    }
    // Clients of version 3 have no such action.
    ann.asks_as(3, "chatlogin", json!({ "action": "delete", "apikey": KEY }))
        .await
        .refused(404, "unknown_action");
    assert_eq!(world.count("users where deleted_at is null").await, 1);
    world.end().await;
}

#[tokio::test]
async fn guesses_of_others_keep_nobody_from_deleting_their_account() {
    let world = World::with(|settings| settings.login_tries = 1).await;
    let ann = world.person("Ann").await;
    let guesses = async |station: &str| {
        let headers = [("Ozeki-User", &*ann.user), ("Ozeki-Station", station)];
        let body = json!({ "action": "login", "apikey": "a wrong apikey" }).to_string();
        let answer = world.posts("chatserver", "chatlogin", &headers, &body);
        answer.await.status
    };
    // As a stranger at her address, and as one who knows the id of her station.
    let stranger = Uuid::new_v4().simple().to_string();
    assert_eq!(
        [guesses(&stranger).await, guesses(&stranger).await],
        [401, 429]
    );
    assert_eq!(
        [guesses(&ann.station).await, guesses(&ann.station).await],
        [401, 429]
    );
    deletes(&ann, KEY).await.ok();
    world.end().await;
}

#[tokio::test]
async fn invitations_of_a_deleted_user_are_void() {
    let world = World::new().await;
    let ann = world.person("Ann").await;
    let code = ann.code().await;
    deletes(&ann, KEY).await.ok();
    let later = world
        .another_with(|settings| settings.registration = parlance::settings::Registration::Invite)
        .await;
    register(&later, "Ben", Some(&code))
        .await
        .refused(403, "registration_closed");
    later.stop().await;
    world.end().await;
}
