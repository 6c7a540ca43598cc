//! Users, friends and conversations, made over the wire as clients make them.

mod conversations;
mod create;
mod login;

use parlance_client::{
    UserId,
    e2ee::{Epochs, Maker, NewEpoch, SigningKey},
};
use parlance_wire::key::PublicKey;
use serde_json::{Map, Value};

use super::{form::Id, keyring::Directory, request::Station};

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
    pub r#use: Use,
    /// Its members, as indexes of [`People::writers`].
    pub members: Vec<usize>,
    /// Its first epoch, as announced by the test.
    pub first: Epochs,
}

/// A user with a signing key.
#[derive(Debug)]
pub(super) struct User {
    pub id: UserId,
    pub sign: SigningKey,
}

/// Users and conversations.
#[derive(Debug)]
pub(super) struct People {
    /// The RSA key of all users.
    pub public_key: PublicKey,
    pub users: Vec<User>,
    /// Their knowledge of each other.
    pub directory: Directory,
    /// For each user, the station that they occasionally write from.
    pub writers: Vec<Station>,
    /// For each writer of the plan, a station for each concurrent message, because each station
    /// numbers its messages.
    pub lanes: Vec<Vec<Station>>,
    /// The stations of the readers.
    pub readers: Vec<Station>,
    pub conversations: Vec<Conversation>,
}

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

    /// An epoch's secret in the wire's form, wrapped for each member. All users have the same RSA
    /// key.
    pub(super) fn wrapped(&self, new: &NewEpoch) -> Option<Map<String, Value>> {
        let epochs = new.accepted();
        let members = epochs.members().keys();
        members
            .map(|user| {
                let secret = new.secret.wrap(&self.public_key).ok()?;
                Some((user.to_string(), secret.as_str().into()))
            })
            .collect()
    }

    /// The user with this number as the maker of an epoch.
    pub(super) fn maker(&self, who: usize) -> Option<Maker<'_>> {
        let user = self.users.get(who)?;
        Some(Maker {
            user: user.id,
            key: &user.sign,
        })
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
