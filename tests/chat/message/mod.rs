//! Messages are stored exactly once, as they were sent.

mod content;
mod retry;

use serde_json::{Value, json};

use crate::world::{Answer, Conversation, Person};

async fn add(person: &Person, conversation: &Conversation, message: &Value) -> Answer {
    person
        .does(
            "add",
            conversation,
            json!({ "message": message.to_string() }),
        )
        .await
}

fn with(message: &Value, field: &str, value: Value) -> Value {
    let mut changed = message.clone();
    changed[field] = value;
    changed
}
