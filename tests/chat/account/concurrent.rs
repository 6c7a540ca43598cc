//! Requests during the deletion of an account: nothing of the user comes back.

use std::{pin::Pin, sync::Arc};

use futures_util::future::join_all;
use serde_json::json;

use super::delete::{KEY, deletes, rows};
use crate::world::{Answer, Hold, Person, World, eventually, message, request};

type Request<'a> = Pin<Box<dyn Future<Output = Answer> + 'a>>;

/// A world in which many requests can wait for the database at the same time.
async fn world() -> Arc<World> {
    World::with(|settings| settings.database_connections = 16).await
}

/// Deletes Ann's account. The requests are sent when the deletion has locked what it changes, and
/// wait for it. Returns their answers.
async fn during_deletion(
    world: &Arc<World>,
    ann: &Person,
    requests: Vec<Request<'_>>,
) -> Vec<Answer> {
    let waiting = i64::try_from(requests.len()).unwrap();
    // The last table that a deletion writes to.
    let hold = Hold::by(world, "lock table erasures in share mode").await;
    let (deleted, answers) = tokio::join!(deletes(ann, KEY), async move {
        hold.is_waited_for(1).await;
        let (answers, ()) = tokio::join!(join_all(requests), async move {
            hold.is_waited_for(1 + waiting).await;
            hold.ends().await;
        });
        answers
    });
    deleted.ok();
    answers
}

#[tokio::test]
async fn a_deleted_user_gets_no_rows_from_requests_that_waited_for_the_deletion() {
    let world = world().await;
    let (ann, ben) = world.friends().await;
    let (cleo, dan) = (world.person("Cleo").await, world.person("Dan").await);
    let workspace =
        json!({ "action": "workspaceregister", "workspacename": "ann.example.chat" }).to_string();
    let card = ann.first_card(ann.server_id().await);
    let answers = during_deletion(
        &world,
        &ann,
        vec![
            Box::pin(ann.publishes(&card)),
            Box::pin(ann.requests_friendship(&cleo)),
            Box::pin(ann.blocks(&dan)),
            Box::pin(ann.sends("chatowner", "workspace", &workspace)),
            Box::pin(ben.asks("chatconversation", ben.creation(&ann))),
        ],
    )
    .await;
    for answer in answers {
        answer.refused(404, "user_not_found");
    }
    for (table, column) in [
        ("friendships", "user_id"),
        ("friendships", "friend_id"),
        ("blocks", "user_id"),
        ("workspaces", "user_id"),
        ("cards", "user_id"),
        ("participants", "user_id"),
    ] {
        assert_eq!(rows(&world, table, column, &ann.user).await, 0, "{table}");
    }
    world.end().await;
}

#[tokio::test]
async fn a_message_or_report_that_waited_for_its_senders_deletion_is_not_stored() {
    let world = world().await;
    let (ann, ben, direct) = world.conversation().await;
    let id = ben.adds(&direct, "before").await;
    let ids = [id];
    let add = request(
        "add",
        &direct,
        json!({ "message": message("during").to_string() }),
    );
    let answers = during_deletion(
        &world,
        &ann,
        vec![
            Box::pin(ann.asks("chatconversation", add)),
            Box::pin(ann.views(&direct, &ids)),
        ],
    )
    .await;
    for answer in answers {
        answer.refused(404, "conversation_not_found");
    }
    for table in ["messages", "reports"] {
        assert_eq!(rows(&world, table, "user_id", &ann.user).await, 0);
    }
    // The conversation is still Ben's, to read.
    let page = ben.reads(&direct).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    world.end().await;
}

#[tokio::test]
async fn a_message_that_is_stored_right_before_its_senders_deletion_is_erased() {
    let world = world().await;
    let (ann, _ben, direct) = world.conversation().await;
    let hold = Hold::of(&world, &direct).await;
    let (id, deleted) = tokio::join!(ann.adds(&direct, "the last word"), async {
        hold.is_waited_for(1).await;
        let (deleted, ()) = tokio::join!(deletes(&ann, KEY), async {
            hold.is_waited_for(2).await;
            hold.ends().await;
        });
        deleted
    });
    deleted.ok();
    eventually("the erasure", async || world.count("erasures").await == 0).await;
    assert_eq!(rows(&world, "messages", "user_id", &ann.user).await, 0);
    assert_eq!(rows(&world, "expired_messages", "message_id", &id).await, 1);
    world.end().await;
}

#[tokio::test]
async fn a_property_that_waited_for_its_users_deletion_is_not_set() {
    let world = world().await;
    let (ann, _ben, direct) = world.conversation().await;
    let favorite = json!({ "action": "favorite", "conversationid": direct.id });
    let answers = during_deletion(
        &world,
        &ann,
        vec![Box::pin(ann.asks("chatconversation", favorite))],
    )
    .await;
    answers[0].refused(404, "conversation_not_found");
    let favorites = world
        .count("participants where favorite_at is not null")
        .await;
    assert_eq!(favorites, 0);
    world.end().await;
}

#[tokio::test]
async fn friends_who_delete_their_accounts_at_once_do_not_deadlock() {
    let world = world().await;
    // Names in either order of their ids.
    for names in [["Ann", "Ben"], ["Cleo", "Dan"], ["Eve", "Finn"]] {
        let [one, other] = [world.person(names[0]).await, world.person(names[1]).await];
        one.befriends(&other).await;
        // Each has locked its own row by the time that it refers to the other's.
        let hold = Hold::by(&world, "lock table left_friends in share mode").await;
        let keys = names.map(|name| format!("the apikey of {name}"));
        let (one, other, ()) = tokio::join!(
            deletes(&one, &keys[0]),
            deletes(&other, &keys[1]),
            async move {
                hold.is_waited_for(2).await;
                hold.ends().await;
            }
        );
        one.ok();
        other.ok();
    }
    assert_eq!(world.count("users where deleted_at is null").await, 0);
    world.end().await;
}

#[tokio::test]
async fn a_login_that_waited_for_the_accounts_deletion_opens_nothing() {
    let world = world().await;
    let ann = world.person("Ann").await;
    // Taken by the deletion when it holds the user's quota, before it takes the credentials.
    let hold = Hold::by(&world, "select from users for no key update").await;
    let login = json!({ "action": "login", "apikey": KEY }).to_string();
    let station = "5".repeat(32);
    let headers = [("Ozeki-Station", station.as_str())];
    let (deleted, logged_in) = tokio::join!(deletes(&ann, KEY), async {
        hold.is_waited_for(1).await;
        let login = world.posts("chatserver", "chatlogin", &headers, &login);
        let release = async {
            hold.is_waited_for(2).await;
            hold.ends().await;
        };
        tokio::join!(login, release).0
    });
    deleted.ok();
    logged_in.refused(401, "login_failed");
    assert_eq!(world.count("stations").await, 0);
    world.end().await;
}
