//! Groups: created by anyone, run by their admins, with up to 5,000 participants.

mod action;
mod admin;
mod empty;
mod member;

use serde_json::{Value, json};

use crate::world::{Answer, Conversation, Person, World};

pub(crate) async fn asks(person: &Person, action: &str, mut fields: Value) -> Answer {
    fields["action"] = action.into();
    person.asks("chatconversationgroup", fields).await
}

pub(crate) fn secrets(people: &[&Person]) -> Value {
    people
        .iter()
        .map(|person| {
            (
                person.user.clone(),
                json!(format!("secret for {}", person.name)),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

pub(crate) fn ids(people: &[&Person]) -> Vec<String> {
    people.iter().map(|person| person.user.clone()).collect()
}

/// A group of Ann (its creator), Ben and Cleo; Dan does not take part.
async fn group(world: &std::sync::Arc<World>) -> ([Person; 4], Conversation) {
    let people = [
        world.person("Ann").await,
        world.person("Ben").await,
        world.person("Cleo").await,
        world.person("Dan").await,
    ];
    let [ann, ben, cleo, dan] = &people;
    for friend in [ben, cleo, dan] {
        ann.befriends(friend).await;
    }
    let request = json!({ "displayname": "the name", "participantids": ids(&[ben, cleo]), "secrets": secrets(&[ann, ben, cleo]) });
    let made = asks(ann, "create", request).await.ok();
    let conversation = Conversation::of(&made["conversation"]);
    (people, conversation)
}

/// `role`: `admin` or `member`.
pub(crate) async fn set_role(
    admin: &Person,
    group: &Conversation,
    whom: &Person,
    role: &str,
) -> Answer {
    let fields = json!({ "conversationid": group.id, "participantid": whom.user, "role": role });
    asks(admin, "setrole", fields).await
}

pub(crate) async fn remove(admin: &Person, group: &Conversation, whom: &Person) -> Answer {
    let fields = json!({ "conversationid": group.id, "participantids": [whom.user] });
    asks(admin, "removeparticipants", fields).await
}

pub(crate) async fn members(person: &Person, conversation: &Conversation) -> Vec<String> {
    let seen = person.sees(conversation).await;
    seen["participants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["username"].as_str().unwrap().to_owned())
        .collect()
}
