//! Nobody is notified too rarely, whatever is late, lost or happens on another node: clients that
//! follow docs/api.md to the letter hold everything in the end.

mod follow;
mod node;
mod poll;

use crate::world::{Conversation, Person};

async fn ids_of(person: &Person, conversation: &Conversation) -> Vec<String> {
    person
        .reads_all(conversation)
        .await
        .iter()
        .map(|row| row["ID"].as_str().unwrap().to_owned())
        .collect()
}
