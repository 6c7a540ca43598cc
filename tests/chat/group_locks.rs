//! The calls that wait for a group's lock and for quotas: refused calls neither block others nor
//! are blocked.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

use crate::{
    group::{ids, secrets},
    world::{Answer, Conversation, Person, World},
};

async fn asks(
    person: &Person,
    action: &str,
    conversation: &Conversation,
    mut more: Value,
) -> Answer {
    more["action"] = action.into();
    more["conversationid"] = conversation.id.clone().into();
    person.asks_as(4, "chatconversationgroup", more).await
}

async fn creates(creator: &Person, others: &[&Person]) -> Conversation {
    let everyone: Vec<&Person> = others.iter().copied().chain([creator]).collect();
    let request = json!({ "action": "create", "displayname": "x", "participantids": ids(others), "secrets": secrets(&everyone) });
    let answer = creator.asks_as(4, "chatconversationgroup", request).await;
    Conversation::of(&answer.ok()["conversation"])
}

/// A session that holds the locks of a statement.
async fn hold(world: &World, statement: String) -> PgConnection {
    let mut connection = world.db.connect_options().connect().await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("begin; {statement} for update")))
        .execute(&mut connection)
        .await
        .unwrap();
    connection
}

#[tokio::test]
async fn users_who_left_or_declined_do_not_wait_for_the_groups_lock() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let cyd = world.person("Cyd").await;
    let conversation = creates(&ann, &[&ben, &cyd]).await;
    asks(&cyd, "decline", &conversation, json!({})).await.ok();
    asks(&ben, "leave", &conversation, json!({})).await.ok();
    let held = hold(
        &world,
        format!(
            "select from conversations where conversation_id = '{}'",
            conversation.id
        ),
    )
    .await;
    // Declining again: the answer may have been lost.
    asks(&cyd, "decline", &conversation, json!({})).await.ok();
    for (person, action) in [(&cyd, "accept"), (&ben, "accept"), (&ben, "leave")] {
        asks(person, action, &conversation, json!({}))
            .await
            .refused(404, "conversation_not_found");
    }
    asks(&ben, "decline", &conversation, json!({}))
        .await
        .refused(404, "conversation_not_found");
    drop(held);
    world.end().await;
}

#[tokio::test]
async fn a_full_group_is_refused_without_waiting_for_the_quotas_of_those_who_are_added() {
    let world = World::new().await;
    let (ann, ben) = world.friends().await;
    let conversation = creates(&ann, &[]).await;
    world
        .sql(&format!(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5('many' || n)::uuid, 'many' || n, n, n, '', '', now() from generate_series(1, 4999) n;
            insert into participants (conversation_id, user_id, secret, display_name, role, joined_at)
            select '{}', user_id, '', '', 'member', now() from users where email like 'many%';
            insert into quotas (user_id) select user_id from users on conflict do nothing",
            conversation.id
        ))
        .await;
    let held = hold(
        &world,
        format!("select from quotas where user_id = '{}'", ben.user),
    )
    .await;
    let more = json!({ "participantids": [ben.user], "secrets": secrets(&[&ben]) });
    asks(&ann, "addparticipants", &conversation, more)
        .await
        .refused(413, "too_large");
    drop(held);
    world.end().await;
}
