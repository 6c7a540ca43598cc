//! Epochs: the successive secrets of a conversation, each for exactly its participants.

mod create;
mod large;
mod members;
mod message;
mod race;
mod refuse;
mod rekey;
mod roster;
mod share;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::world::{Answer, Conversation, Epoch, Person, World};

/// Friends of Ann, each with a card; Ann is the first.
async fn people<const N: usize>(world: &Arc<World>, names: [&str; N]) -> [Person; N] {
    let mut people = vec![];
    for name in names {
        let person = world.person(name).await;
        person.has_card().await;
        people.push(person);
    }
    for friend in &people[1..] {
        people[0].befriends(friend).await;
    }
    people.try_into().unwrap_or_else(|_| unreachable!())
}

/// A group of Ann, its creator, Ben and Cleo, in its first epoch. Dan is a friend of Ann's.
async fn group(world: &Arc<World>) -> ([Person; 4], Conversation, Epoch) {
    let people = people(world, ["Ann", "Ben", "Cleo", "Dan"]).await;
    let [ann, ben, cleo, _] = &people;
    let (group, epoch) = ann.creates_group_with_epoch(&[ben, cleo]).await;
    (people, group, epoch)
}

async fn asks(person: &Person, request: &Value) -> Answer {
    person.asks_as(4, "chatconversation", request.clone()).await
}

/// The epochs that a person can open, with their copy of each secret.
async fn secrets(person: &Person, conversation: &Conversation) -> Vec<(u64, String)> {
    let answer = person.epochs(conversation, json!({})).await.ok();
    assert_eq!(answer["hasmore"], false);
    let epochs = answer["epochs"].as_array().unwrap();
    epochs
        .iter()
        .map(|epoch| {
            let secret = epoch["secret"].as_str().unwrap();
            (epoch["epoch"].as_u64().unwrap(), secret.to_owned())
        })
        .collect()
}
