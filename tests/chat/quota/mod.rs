//! Quotas: how many conversations a user has, and how many they create in a day. The limits hold on
//! all nodes and for concurrent requests, and do not affect anyone else.

mod day;
mod total;
mod wait;

use std::sync::Arc;

use serde_json::json;

use crate::{
    group::{ids, secrets},
    world::{Answer, Person, World},
};

async fn group(creator: &Person, others: &[&Person]) -> Answer {
    let everyone: Vec<&Person> = others.iter().copied().chain([creator]).collect();
    let request = json!({ "action": "create", "displayname": "x", "participantids": ids(others), "secrets": secrets(&everyone) });
    creator.asks_as(4, "chatconversationgroup", request).await
}

async fn direct(creator: &Person, other: &Person) -> Answer {
    creator
        .asks("chatconversation", creator.creation(other))
        .await
}

async fn count(person: &Person) -> usize {
    let list = person.lists().await.ok();
    list["conversations"].as_array().unwrap().len()
}

/// A refusal with this figure in its sentence.
#[track_caller]
fn is_too_large(answer: &Answer, figure: &str) {
    let refusal = answer.refused(413, "too_large");
    assert!(
        refusal["errormessage"].as_str().unwrap().contains(figure),
        "{refusal}"
    );
}

/// A refusal that says how long it lasts.
#[track_caller]
fn is_rate_limited(answer: &Answer, figure: &str) {
    let refusal = answer.refused(429, "rate_limited");
    let wait: u64 = answer.headers["Retry-After"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (1..=86_400).contains(&wait) && refusal["errormessage"].as_str().unwrap().contains(figure),
        "{wait} {refusal}"
    );
}

async fn with(total: u32, day: u32) -> Arc<World> {
    World::with(|settings| {
        settings.per_user.conversations = total;
        settings.per_user.new_conversations = day;
        settings.workers = 2;
        settings.database_connections = 8;
    })
    .await
}

/// Creates this many users who never logged in. Returns their ids.
async fn many(world: &World, count: usize) -> Vec<String> {
    world
        .sql(&format!(
            "insert into users (user_id, email, full_name, nick, public_key, encrypted_private_key, created_at)
            select md5('many' || n)::uuid, 'many' || n, n, n, '', '', now() from generate_series(1, {count}) n"
        ))
        .await;
    let ids = "select replace(user_id::text, '-', '') from users where email like 'many%' order by user_id";
    sqlx::query_scalar(ids).fetch_all(&world.db).await.unwrap()
}
