//! The notifications that a station gets by polling.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex},
};

use serde_json::{Value, json};

use super::Person;

/// The answer to a poll.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub conversations: Vec<String>,
    pub lists: Vec<String>,
    pub friends: Vec<String>,
}

impl Person {
    /// Polls, and acknowledges the previous answer on whatever connection.
    pub(crate) async fn hears(&self) -> Changes {
        static RECEIPTS: LazyLock<Mutex<HashMap<(String, String), Value>>> =
            LazyLock::new(Mutex::default);
        let listener = (self.world.url.clone(), self.station.clone());
        let received = RECEIPTS.lock().unwrap().get(&listener).cloned();
        let answer = self
            .asks_as(
                4,
                "chatnotification",
                json!({ "action": "download", "received": received }),
            )
            .await
            .ok();
        RECEIPTS
            .lock()
            .unwrap()
            .insert(listener, answer["receipt"].clone());
        let ids = |field: &str| {
            answer[field]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap().to_owned())
                .collect()
        };
        Changes {
            conversations: ids("conversationchangedof"),
            lists: ids("conversationlistchangedof"),
            friends: ids("friendavailabilitesof"),
        }
    }

    /// Polls for the first time: a station's first answer always names the caller.
    pub(crate) async fn listens(&self) {
        assert_eq!(self.hears().await.lists, [self.user.clone()]);
    }
}
