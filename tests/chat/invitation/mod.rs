//! Users who are not friends, or who left, join a group only by accepting an invitation.

mod accept;
mod block;
mod concurrent;
mod decline;
mod limit;

use serde_json::{Value, json};

use crate::{
    group::{ids, secrets},
    world::{Answer, Conversation, Person},
};

async fn asks_v4(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks_as(4, "chatconversationgroup", fields).await
}

/// The pending invitations of a user, newest first.
async fn invitations(person: &Person) -> Vec<Value> {
    asks_v4(person, "invitations", json!({})).await.ok()["invitations"]
        .as_array()
        .unwrap()
        .clone()
}

/// The groups that someone is invited to.
async fn invited_to(person: &Person) -> Vec<String> {
    invitations(person)
        .await
        .iter()
        .map(|invitation| invitation["conversationid"].as_str().unwrap().to_owned())
        .collect()
}

/// The conversations in a version 3 client's list.
async fn list(person: &Person) -> Vec<String> {
    let list = person.lists().await.ok();
    list["conversations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].as_str().unwrap().to_owned())
        .collect()
}

fn creation(creator: &Person, others: &[&Person]) -> Value {
    let everyone: Vec<&Person> = others.iter().copied().chain([creator]).collect();
    json!({ "displayname": "bmFtZQ==", "participantids": ids(others), "secrets": secrets(&everyone) })
}

async fn creates(creator: &Person, others: &[&Person]) -> (Conversation, Value) {
    let made = asks_v4(creator, "create", creation(creator, others))
        .await
        .ok();
    (
        Conversation::of(&made["conversation"]),
        made["invited"].clone(),
    )
}

fn addition(conversation: &Conversation, people: &[&Person]) -> Value {
    json!({ "conversationid": conversation.id, "participantids": ids(people), "secrets": secrets(people) })
}

/// Adds users. Returns those who are invited instead.
async fn adds(admin: &Person, conversation: &Conversation, people: &[&Person]) -> Value {
    asks_v4(admin, "addparticipants", addition(conversation, people))
        .await
        .ok()["invited"]
        .clone()
}

fn sorted(people: &[&Person]) -> Value {
    let mut sorted = ids(people);
    sorted.sort();
    json!(sorted)
}

fn to(conversation: &Conversation) -> Value {
    json!({ "conversationid": conversation.id })
}
