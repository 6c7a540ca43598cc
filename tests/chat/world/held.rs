//! A v4 client's list of conversations, kept up to date by what the server says has changed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Person, eventually};

/// Each line by its id, and the mark to ask with.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) lines: BTreeMap<String, Value>,
    pub(crate) known: String,
}

impl Held {
    /// The whole list.
    pub(crate) async fn whole(person: &Person) -> Self {
        let mut held = Self::default();
        let fields = json!({ "action": "list" });
        held.keeps(&person.asks_as(4, "chatconversation", fields).await.ok());
        held
    }

    /// Applies an answer. Returns the ids of the lines that were told, and those that are gone.
    pub(crate) fn keeps(&mut self, answer: &Value) -> (Vec<String>, Vec<String>) {
        let lines = answer["conversations"].as_array().unwrap();
        let id = |line: &Value| line["id"].as_str().unwrap().to_owned();
        let told = lines.iter().map(id).collect();
        self.lines
            .extend(lines.iter().map(|line| (id(line), line.clone())));
        answer["known"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.known);
        let mut gone = vec![];
        if let Some(all) = answer.get("conversationids") {
            let all: Vec<String> = serde_json::from_value(all.clone()).unwrap();
            gone = self.lines.keys().cloned().collect();
            gone.retain(|id| !all.contains(id));
            self.lines.retain(|id, _| all.contains(id));
        }
        (told, gone)
    }

    /// Asks what has changed, until nothing is told any more. Returns what was told first. While another transaction of the same
    /// PostgreSQL runs, what is newer than that may be told again.
    pub(crate) async fn hears(&mut self, person: &Person) -> (Vec<String>, Vec<String>) {
        let first = self.catches_up(person).await;
        eventually("nothing is told", async || {
            self.catches_up(person).await == (vec![], vec![])
        })
        .await;
        first
    }

    /// Asks what has changed, and applies it.
    pub(crate) async fn catches_up(&mut self, person: &Person) -> (Vec<String>, Vec<String>) {
        let fields = json!({ "action": "list", "known": self.known });
        let answer = person.asks_as(4, "chatconversation", fields).await.ok();
        assert_eq!(answer["hasmore"], false);
        self.keeps(&answer)
    }
}
