//! Requests during the deletion of an account: nothing of the user comes back.

use std::{pin::Pin, sync::Arc};

use futures_util::future::join_all;
use serde_json::json;

use super::delete::{KEY, deletes, rows};
use crate::world::{Answer, Hold, Person, World};

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
    let answers = during_deletion(
        &world,
        &ann,
        vec![
            Box::pin(ann.requests_friendship(&cleo)),
            Box::pin(dan.requests_friendship(&ann)),
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
        ("participants", "user_id"),
    ] {
        assert_eq!(rows(&world, table, column, &ann.user).await, 0, "{table}");
    }
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
