//! Users, friends and conversations, made over the wire as clients make them.

mod create;
mod login;

use serde_json::json;

use super::{
    form::{Id, plain},
    request::{Request, Station, V4},
};

/// The use of a conversation in the test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Busy,
    /// A message now and then, so that a lost notification is not made up for by the next message.
    Quiet,
    /// Nothing but the last words of a node that ends.
    LastWords,
    /// Many messages, and cleared again and again.
    Cleared,
    /// More than one page of large messages.
    Large,
    /// A group whose last member is removed and added again.
    Group,
}

#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub id: Id,
    /// Its use.
    pub r#use: Use,
    /// Its members, as indexes of [`People::writers`].
    pub members: Vec<usize>,
}

/// Users and conversations.
#[derive(Debug)]
pub(super) struct People {
    /// Each user, at the station that they write from.
    pub writers: Vec<Station>,
    /// The stations of the readers.
    pub readers: Vec<Station>,
    pub conversations: Vec<Conversation>,
}

/// The wrapped secret that a client would make; the server cannot tell.
const SECRET: &str = "d3JhcHBlZA==";

impl People {
    /// The conversations with this use.
    pub(super) fn used(&self, r#use: Use) -> Vec<&Conversation> {
        self.conversations
            .iter()
            .filter(|conversation| conversation.r#use == r#use)
            .collect()
    }

    /// The conversations that a user is in, if they were not removed since.
    pub(super) fn of(&self, user: Id) -> impl Iterator<Item = &Conversation> {
        let is_user = move |member: &usize| {
            self.writers
                .get(*member)
                .is_some_and(|writer| writer.user == user)
        };
        self.conversations
            .iter()
            .filter(move |conversation| conversation.members.iter().any(is_user))
    }

    /// A member of a conversation, at their writing station.
    pub(super) fn member(&self, conversation: &Conversation, place: usize) -> Option<Station> {
        self.writers
            .get(
                *conversation
                    .members
                    .get(place % conversation.members.len().max(1))?,
            )
            .copied()
    }
}

/// The request that adds a member to a group, or removes one.
pub(super) fn group_change(action: &str, group: Id, user: Id) -> Request {
    let user = plain(user);
    let fields = json!({ "action": action, "conversationid": plain(group), "participantids": [&user], "secrets": { &user: SECRET } });
    Request {
        api: "chatconversationgroup",
        version: V4,
        fields,
    }
}
