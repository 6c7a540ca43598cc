//! The people of the vectors, and forgeries.

use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    e2ee::{Announcement, Card, ServerId, SignedCard, canonical, label},
    id::{ConversationId, UserId},
    key::PublicKey,
    text::Email,
};
use serde_json::{Value, json};

use crate::{
    e2ee::{EpochSecret, SigningKey, first_card},
    keys::KeyPair,
};

pub(super) const CONVERSATION: &str = "8ca16186c36a4e0a1ef2096e6c60b613";
pub(super) const INSTANCE: &str = "PqjfKSn7V8";

pub(super) struct Person {
    pub user: UserId,
    pub sign: SigningKey,
    pub rsa: KeyPair,
    pub public: PublicKey,
    pub wrapped: String,
    pub card: SignedCard,
}

pub(super) fn server() -> ServerId {
    ServerId::parse(super::read("keys")["server"].as_str().unwrap()).unwrap()
}

pub(super) fn server_key() -> SigningKey {
    key(&super::read("keys")["server_seed"])
}

pub(super) fn conversation() -> ConversationId {
    ConversationId::parse(CONVERSATION).unwrap()
}

/// The bytes 20..3f.
pub(super) fn secret() -> EpochSecret {
    let mut bytes = [0; 32];
    for (place, byte) in (0x20..).zip(&mut bytes) {
        *byte = place;
    }
    EpochSecret::from_bytes(&bytes)
}

fn key(seed: &Value) -> SigningKey {
    let mut bytes = [0; 32];
    hex::decode_to_slice(seed.as_str().unwrap(), &mut bytes).unwrap();
    SigningKey::from_seed(&bytes).unwrap()
}

pub(super) fn person(name: &str) -> Person {
    let keys = &super::read("keys")["people"][name];
    let text = |field: &str| keys[field].as_str().unwrap().to_owned();
    let email = Email::parse(&text("email")).unwrap();
    let rsa = KeyPair::from_pkcs8(&STANDARD.decode(text("private")).unwrap()).unwrap();
    let sign = key(&keys["seed"]);
    assert_eq!(rsa.public_key(), text("public"));
    Person {
        user: UserId::of(&email),
        card: first_card(email, server(), &sign, &rsa, None).unwrap(),
        public: PublicKey::parse(&text("public")).unwrap(),
        wrapped: text("wrapped"),
        sign,
        rsa,
    }
}

/// Three people: Ann and Ben trust each other, Eve is not to be trusted.
pub(super) fn people() -> [Person; 3] {
    ["ann", "ben", "eve"].map(person)
}

/// A card's JSON with some fields replaced, signed by any keys.
pub(super) fn forge_card(
    card: &Card,
    changes: &Value,
    sign: &SigningKey,
    rsa: &KeyPair,
    prev: Option<&SigningKey>,
) -> Value {
    sign_card(&replaced(card.text(), changes), sign, rsa, prev)
}

/// Signatures over any text, in the form of a card's.
pub(super) fn sign_card(
    text: &str,
    sign: &SigningKey,
    rsa: &KeyPair,
    prev: Option<&SigningKey>,
) -> Value {
    let signed = format!("{}{text}", label::CARD);
    let by = |key: &SigningKey| json!(key.sign(signed.as_bytes()).unwrap());
    json!({
        "card": text,
        "signatures": {
            "sign": by(sign),
            "rsa": rsa.sign(signed.as_bytes()).unwrap(),
            "prev": prev.map_or(json!(""), by),
        },
    })
}

/// An announcement with some fields replaced, signed by any key.
pub(super) fn forge_epoch(announcement: &Announcement, changes: &Value, key: &SigningKey) -> Value {
    sign_epoch(&replaced(announcement.text(), changes), key)
}

/// A signature over any text, in the form of an announcement's.
pub(super) fn sign_epoch(text: &str, key: &SigningKey) -> Value {
    let signed = format!("{}{text}", label::EPOCH);
    json!({ "announcement": text, "signature": key.sign(signed.as_bytes()).unwrap() })
}

fn replaced(text: &str, changes: &Value) -> String {
    let mut value: Value = serde_json::from_str(text).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    canonical::write(&value).unwrap()
}

#[test]
fn a_wrapped_secret_is_opened_by_its_owner_alone() {
    let [ann, ben, _] = people();
    for person in [&ann, &ben] {
        let opened = EpochSecret::unwrap(&person.wrapped, &person.rsa).unwrap();
        assert_eq!(opened.as_bytes(), secret().as_bytes());
    }
    assert!(EpochSecret::unwrap(&ann.wrapped, &ben.rsa).is_err());
}
