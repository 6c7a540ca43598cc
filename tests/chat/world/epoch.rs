//! Conversations with epochs, as version 4 clients create and rekey them.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    e2ee::{
        Announcement, Changes, Head, MemberKey, RsaKeyHash, SignedAnnouncement, commitment, roster,
    },
    id::{ConversationId, UserId},
};
use serde_json::{Value, json};

use super::{Answer, Conversation, Person, World, signer::Signer};

/// The present epoch of a conversation, as its creator knows it.
#[derive(Clone)]
pub(crate) struct Epoch {
    pub announcement: Announcement,
    pub members: BTreeSet<UserId>,
}

/// Changes to the participants.
#[derive(Default)]
pub(crate) struct Roster<'a> {
    pub admins: Vec<&'a Person>,
    pub added: Vec<&'a Person>,
    pub removed: Vec<&'a Person>,
}

impl Roster<'_> {
    fn signed(
        &self,
        by: &Person,
        conversation: &str,
        before: Option<&Epoch>,
    ) -> (SignedAnnouncement, Epoch) {
        let (added, removed) = (users(&self.added), users(&self.removed));
        let members: BTreeSet<UserId> = before
            .iter()
            .flat_map(|epoch| &epoch.members)
            .filter(|user| !removed.contains(user))
            .chain(&added)
            .copied()
            .collect();
        let changes = Changes {
            roster: roster(&by.world.keys_of(&members)),
            admins: users(&self.admins),
            added,
            removed,
            commit: commitment(&[7; 32]),
            by: by.id(),
            head: Head {
                seq: 0,
                chain: None,
            },
        };
        let announcement = match before {
            None => Announcement::first(ConversationId::parse(conversation).unwrap(), changes),
            Some(before) => before.announcement.next(changes),
        }
        .unwrap();
        (
            SignedAnnouncement {
                signature: Signer::of(&by.name, 1).sign(&announcement.signed_text()),
                announcement: announcement.clone(),
            },
            Epoch {
                announcement,
                members,
            },
        )
    }
}

impl World {
    /// What stands for these users in a roster. Those whom a test has put into the database have an
    /// empty key.
    fn keys_of(&self, users: &BTreeSet<UserId>) -> BTreeMap<UserId, MemberKey> {
        let members = self.members.lock().unwrap();
        let key = |user| members.get(user).copied();
        let none = MemberKey::Rsa(RsaKeyHash::of_der(b""));
        users
            .iter()
            .map(|user| (*user, key(user).unwrap_or(none)))
            .collect()
    }
}

/// The ids of people.
pub(crate) fn users(people: &[&Person]) -> BTreeSet<UserId> {
    people.iter().map(|person| person.id()).collect()
}

/// A secret for each of these users, which names its epoch.
fn wrapped(epoch: &Epoch) -> Value {
    let number = epoch.announcement.epoch();
    let secrets = epoch.members.iter().map(|user| {
        (
            user.to_string(),
            json!(secret(number.get(), &user.to_string())),
        )
    });
    Value::Object(secrets.collect())
}

/// A stand-in for a user's wrapped secret of an epoch.
pub(crate) fn secret(epoch: u32, user: &str) -> String {
    format!("secret {epoch} of {user}")
}

impl Person {
    /// The request that creates the direct conversation with a friend, with a first epoch.
    pub(crate) fn creation_with_epoch(&self, other: &Self) -> (Value, Epoch) {
        let id = ConversationId::between(self.id(), other.id()).to_string();
        let roster = Roster {
            added: vec![self, other],
            ..Roster::default()
        };
        let (signed, epoch) = roster.signed(self, &id, None);
        let mut request = self.creation(other);
        announces(&mut request, &signed, &epoch);
        (request, epoch)
    }

    /// Creates the direct conversation with a friend, with a first epoch.
    pub(crate) async fn creates_with_epoch(&self, other: &Self) -> (Conversation, Epoch) {
        let (request, epoch) = self.creation_with_epoch(other);
        let answer = self.asks_as(4, "chatconversation", request).await;
        (Conversation::of(&answer.ok()["conversation"]), epoch)
    }

    /// The request that creates a group with a first epoch.
    pub(crate) fn group_with_epoch(&self, others: &[&Self]) -> (Value, Epoch) {
        let roster = Roster {
            admins: vec![self],
            added: others.iter().copied().chain([self]).collect(),
            ..Roster::default()
        };
        let (signed, epoch) = roster.signed(self, &ConversationId::random().to_string(), None);
        let others: Vec<&str> = others.iter().map(|other| &*other.user).collect();
        let mut request =
            json!({ "action": "create", "displayname": "the name", "participantids": others });
        announces(&mut request, &signed, &epoch);
        (request, epoch)
    }

    /// Creates a group with a first epoch.
    pub(crate) async fn creates_group_with_epoch(&self, others: &[&Self]) -> (Conversation, Epoch) {
        let (request, epoch) = self.group_with_epoch(others);
        let answer = self.asks_as(4, "chatconversationgroup", request).await;
        (Conversation::of(&answer.ok()["conversation"]), epoch)
    }

    /// The request that begins the next epoch of a conversation; `before` is the present one, if
    /// there is one.
    pub(crate) fn rekeying(
        &self,
        conversation: &Conversation,
        before: Option<&Epoch>,
        changes: &Roster<'_>,
    ) -> (Value, Epoch) {
        let (signed, epoch) = changes.signed(self, &conversation.id, before);
        let ids = |people: &[&Self]| {
            people
                .iter()
                .map(|one| one.user.clone())
                .collect::<Vec<_>>()
        };
        let mut request = json!({
            "action": "rekey", "conversationid": conversation.id, "instance": conversation.instance,
            "epoch": signed.announcement.epoch(),
        });
        if before.is_some() {
            request["removeparticipants"] = ids(&changes.removed).into();
            request["addparticipants"] = ids(&changes.added).into();
        }
        announces(&mut request, &signed, &epoch);
        (request, epoch)
    }

    /// Begins the next epoch of a conversation.
    pub(crate) async fn rekeys(
        &self,
        conversation: &Conversation,
        before: &Epoch,
        changes: &Roster<'_>,
    ) -> Epoch {
        let (request, epoch) = self.rekeying(conversation, Some(before), changes);
        self.asks_as(4, "chatconversation", request).await.ok();
        epoch
    }

    /// Sends a message that is encrypted with the secret of this epoch.
    pub(crate) async fn adds_in(
        &self,
        conversation: &Conversation,
        epoch: u32,
        message: &Value,
    ) -> Answer {
        let request = super::request(
            "add",
            conversation,
            json!({ "message": message, "epoch": epoch }),
        );
        self.asks_as(4, "chatconversation", request).await
    }

    /// The conversation in the list of this person's version 4 client.
    pub(crate) async fn sees_v4(&self, conversation: &Conversation) -> Value {
        let list = json!({ "action": "list" });
        let list = self.asks_as(4, "chatconversation", list).await.ok();
        let mut all = list["conversations"].as_array().unwrap().iter();
        all.find(|one| one["id"] == conversation.id.as_str())
            .unwrap()
            .clone()
    }

    /// The epochs of a conversation before one, or the newest.
    pub(crate) async fn epochs(&self, conversation: &Conversation, more: Value) -> Answer {
        let mut request = json!({ "action": "epochs", "conversationid": conversation.id });
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        self.asks_as(4, "chatconversation", request).await
    }
}

fn announces(request: &mut Value, signed: &SignedAnnouncement, epoch: &Epoch) {
    request["announcement"] = signed.announcement.text().into();
    request["signature"] = json!(signed.signature);
    request["secrets"] = wrapped(epoch);
}
