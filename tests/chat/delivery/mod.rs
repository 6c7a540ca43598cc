//! Nobody is told too seldom, whatever is late, lost, or happens elsewhere: clients that do what docs/api.md says, to
//! the letter, hold everything in the end.

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
