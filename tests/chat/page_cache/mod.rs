//! A page that was read recently is served again without being read, and never when it is outdated.

mod access;
mod read;

use serde_json::Value;

use crate::world::{Conversation, Person, World, request};

/// Adds ten messages with a report on each. Returns the messages' ids, oldest first.
async fn ten(ann: &Person, ben: &Person, conversation: &Conversation) -> Vec<String> {
    let mut written = vec![];
    for n in 0..10 {
        written.push(ann.adds(conversation, &format!("\"{n}\"")).await);
    }
    ben.views(conversation, &written).await.ok();
    written
}

async fn reads(who: &Person, version: i64, conversation: &Conversation, cursor: Value) -> Value {
    let page = who
        .asks_as(
            version,
            "chatconversation",
            request("download", conversation, cursor),
        )
        .await
        .ok();
    for row in page["messages"].as_array().unwrap() {
        assert_eq!(
            ["User", "Station", "Seq", "Chain"].map(|field| row.get(field).is_some()),
            [version == 4; 4],
            "{row}"
        );
    }
    page
}

/// Changes rows behind the server's back, which only shows if they are read again.
async fn marks(world: &World) {
    world
        .sql("update messages set data = 'read again'; update reports set type = 'delivered'")
        .await;
}

fn was_read_again(page: &Value) -> bool {
    let (messages, reports) = (
        page["messages"].as_array().unwrap(),
        page["reports"].as_array().unwrap(),
    );
    let is_marked = messages.iter().any(|row| row["Data"] == "read again")
        || reports.iter().any(|row| row["Type"] == "delivered");
    let all = messages.iter().all(|row| row["Data"] == "read again")
        && reports.iter().all(|row| row["Type"] == "delivered");
    assert_eq!(is_marked, all, "{page}");
    all
}
