//! Conversations as their participants know them, and requests about them.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{at, now};

/// A conversation, as one of its participants knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub id: String,
    pub instance: String,
}

impl Conversation {
    pub(crate) fn of(conversation: &Value) -> Self {
        Self {
            id: conversation["id"].as_str().unwrap().to_owned(),
            instance: conversation["instance"].as_str().unwrap().to_owned(),
        }
    }
}

/// An action on a conversation, with its instance.
pub(crate) fn request(action: &str, conversation: &Conversation, mut fields: Value) -> Value {
    fields["action"] = action.into();
    fields["conversationid"] = conversation.id.clone().into();
    fields["instance"] = conversation.instance.clone().into();
    fields
}

/// A new message, as a client creates it.
pub(crate) fn message(data: &str) -> Value {
    json!({ "ID": Uuid::new_v4().to_string(), "Type": "Message", "Created": now(), "ValidUntil": at(TimeDelta::days(7)), "Data": data })
}
