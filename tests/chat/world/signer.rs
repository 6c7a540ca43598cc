//! The signatures of version 4 clients: cards, and the key log.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{
        Card, CardSignatures, MemberKey, RsaKeyHash, RsaSignature, SignKey, Signature, SignedCard,
        SignedLogHead, sha256,
    },
    id::{ServerId, UserId},
    text::Email,
};
use serde_json::{Value, json};

use super::{Answer, Person};

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

    pub(crate) fn rsa(&self) -> RsaKeyHash {
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
        let published = self
            .asks_keys("publish", serde_json::to_value(card).unwrap())
            .await;
        if published.status == 200 {
            self.stands_for(MemberKey::Card(card.card.hash()));
        }
        published
    }

    /// Others put this in place of the person into a roster.
    pub(crate) fn stands_for(&self, key: MemberKey) {
        let mut members = self.world.members.lock().unwrap();
        members.insert(self.id(), key);
    }

    /// Publishes the first card.
    pub(crate) async fn has_card(&self) {
        let card = self.first_card(self.server_id().await);
        self.publishes(&card).await.ok();
    }
}
