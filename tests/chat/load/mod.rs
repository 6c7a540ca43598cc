//! A client that sends much or reads nothing uses up its own share, and does not affect others.

mod answer;
mod body;

use serde_json::json;

use crate::world::{Conversation, Person, request};

/// Large messages, so that a page of them is 4 MB.
async fn fill(author: &Person, conversation: &Conversation) {
    let data = "A".repeat(60_000);
    for _ in 0..80 {
        author.adds(conversation, &data).await;
    }
}

impl Person {
    async fn reads_page(&self, conversation: &Conversation) -> u16 {
        self.asks(
            "chatconversation",
            request("download", conversation, json!({})),
        )
        .await
        .status
    }
}
