//! A refusal never waits for a lock.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{group, is_rate_limited, is_too_large, many, with};
use crate::world::{Conversation, Person};

/// Fields that name these people, with a secret for each and for the caller.
fn naming(caller: &Person, ids: &[String]) -> Value {
    let secrets: serde_json::Map<_, _> = ids
        .iter()
        .chain([&caller.user])
        .map(|id| (id.clone(), json!("secret")))
        .collect();
    json!({ "action": "create", "displayname": "x", "participantids": ids, "secrets": secrets })
}

#[tokio::test]
async fn a_call_that_is_refused_waits_for_nobody_whom_it_names() {
    let world = with(3, 100).await;
    let (ann, ben) = world.friends().await;
    let eve = world.person("Eve").await;
    let strangers = many(&world, 101).await;
    world
        .sql("insert into quotas (user_id) select user_id from users on conflict do nothing")
        .await;
    let conversation = Conversation::of(&group(&eve, &[]).await.ok()["conversation"]);
    let mut held = world.db.begin().await.unwrap();
    let lock = format!(
        "select from quotas where user_id <> '{}' and user_id <> '{}' for update",
        eve.user, ann.user
    );
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *held)
        .await
        .unwrap();
    // More strangers than a day allows: the first 101 at once, and one more after a hundred.
    is_rate_limited(
        &eve.asks("chatconversationgroup", naming(&eve, &strangers))
            .await,
        "100",
    );
    let mut request = naming(&eve, &strangers);
    request["action"] = "addparticipants".into();
    request["conversationid"] = conversation.id.into();
    is_rate_limited(&eve.asks("chatconversationgroup", request).await, "100");
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update quotas set day = (now() at time zone 'UTC')::date, invitations = 100 where user_id = '{}'",
        eve.user
    )))
    .execute(&world.db)
    .await
    .unwrap();
    is_rate_limited(
        &eve.asks("chatconversationgroup", naming(&eve, &strangers[..1]))
            .await,
        "100",
    );
    // Adding a friend, by a user who has created enough today, and by one with the maximum of
    // conversations.
    sqlx::raw_sql(AssertSqlSafe(format!(
        "update quotas set day = (now() at time zone 'UTC')::date, conversations = 100 where user_id = '{}'",
        ann.user
    )))
    .execute(&world.db)
    .await
    .unwrap();
    is_rate_limited(&group(&ann, &[&ben]).await, "100");
    world
        .sql("update quotas set day = day - 1 where conversations = 100")
        .await;
    for _ in 0..3 {
        group(&ann, &[]).await.ok();
    }
    is_too_large(&group(&ann, &[&ben]).await, "3");
    held.rollback().await.unwrap();
    world.end().await;
}
