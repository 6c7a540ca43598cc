//! The signatures of version 4 clients: cards, and announcements of epochs.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{
        Announcement, Card, CardSignatures, Changes, Head, MemberKey, RsaKeyHash, RsaSignature,
        SignKey, Signature, SignedAnnouncement, SignedCard, SignedLogHead, commitment, roster,
        sha256,
    },
    id::{ConversationId, ServerId, UserId},
    text::Email,
};
use serde_json::{Value, json};

use super::{Answer, Conversation, Person};

/// A signing key. A person may have several, one after the other.
pub(crate) struct Signer {
    pair: Ed25519KeyPair,
    pub key: SignKey,
}

impl Signer {
    /// The key with this number of the person with this name.
    pub(crate) fn of(name: &str, number: u8) -> Self {
        let seed = sha256(&[name.as_bytes(), &[number]]);
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let key = SignKey::from_bytes(pair.public_key().as_ref()).unwrap();
        Self { pair, key }
    }

    pub(crate) fn sign(&self, text: &[u8]) -> Signature {
        Signature::from_bytes(self.pair.sign(text).as_ref()).unwrap()
    }
}

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
        let keys = members
            .iter()
            .map(|user| (*user, MemberKey::Rsa(RsaKeyHash::of_der(user.as_bytes()))));
        let changes = Changes {
            roster: roster(&keys.collect::<BTreeMap<_, _>>()),
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
    pub(crate) fn id(&self) -> UserId {
        UserId::parse(&self.user).unwrap()
    }

    /// Sends a request to `chatkeys`.
    pub(crate) async fn asks_keys(&self, action: &str, mut fields: Value) -> Answer {
        fields["action"] = action.into();
        self.asks_as(4, "chatkeys", fields).await
    }

    /// The key log's head, signed by the server's key.
    pub(crate) async fn log_head(&self) -> SignedLogHead {
        let log = self.asks_keys("log", json!({})).await.ok();
        let head: SignedLogHead =
            serde_json::from_value(json!({ "head": log["head"], "signature": log["signature"] }))
                .unwrap();
        head.verify(serde_json::from_value(log["key"].clone()).unwrap())
            .unwrap();
        head
    }

    pub(crate) async fn server_id(&self) -> ServerId {
        self.log_head().await.head.server()
    }

    /// This person's first card.
    pub(crate) fn first_card(&self, server: ServerId) -> SignedCard {
        self.first_of(1, server)
    }

    /// A first card with the signing key of this number.
    pub(crate) fn first_of(&self, number: u8, server: ServerId) -> SignedCard {
        let email = Email::parse(&format!("{}@example.org", self.name.to_lowercase())).unwrap();
        let card = Card::first(
            email,
            server,
            Signer::of(&self.name, number).key,
            self.rsa(),
        );
        self.signed_card(card.unwrap(), number, None)
    }

    /// The card after `before`, with the signing key of this number; also signed by the previous
    /// key, if its number is given.
    pub(crate) fn next_card(&self, before: &Card, number: u8, by: Option<u8>) -> SignedCard {
        let card = before.next(Signer::of(&self.name, number).key, self.rsa());
        self.signed_card(card.unwrap(), number, by)
    }

    fn rsa(&self) -> RsaKeyHash {
        RsaKeyHash::of_der(&STANDARD.decode(self.key.public_key()).unwrap())
    }

    fn signed_card(&self, card: Card, number: u8, before: Option<u8>) -> SignedCard {
        let text = card.signed_text();
        let rsa = STANDARD.decode(self.key.sign(&text).unwrap()).unwrap();
        SignedCard {
            signatures: CardSignatures {
                sign: Signer::of(&self.name, number).sign(&text),
                rsa: RsaSignature::from_bytes(&rsa).unwrap(),
                prev: before.map(|before| Signer::of(&self.name, before).sign(&text)),
            },
            card,
        }
    }

    pub(crate) async fn publishes(&self, card: &SignedCard) -> Answer {
        self.asks_keys("publish", serde_json::to_value(card).unwrap())
            .await
    }

    /// Publishes the first card.
    pub(crate) async fn has_card(&self) {
        let card = self.first_card(self.server_id().await);
        self.publishes(&card).await.ok();
    }

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
