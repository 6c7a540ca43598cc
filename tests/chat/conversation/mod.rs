//! Conversations: created once, visible only to their participants, with properties for each of
//! them.

mod access;
mod clear;
mod create;
mod era;
mod erase;
mod known;
mod list;
mod property;
mod unread;

use serde_json::{Value, json};

use crate::world::Conversation;

const FLAGS: [&str; 7] = [
    "favorite",
    "unfavorite",
    "mute",
    "unmute",
    "hide",
    "unhide",
    "setlistitembackgroundcolor",
];

fn flag(action: &str, conversation: &Conversation) -> Value {
    json!({ "action": action, "conversationid": conversation.id, "color": "#bae1ff" })
}
