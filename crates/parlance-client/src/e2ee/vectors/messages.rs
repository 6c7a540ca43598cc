//! Messages and names: good ones, relabelled ones, and ones that someone else wrote.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use parlance_wire::{
    chain::{Chain, DataHash},
    e2ee::{Card, Epoch, SignedCard, canonical},
    id::{MessageId, StationId, UserId},
    text::{Email, Instance},
};
use serde_json::{Value, json};

use super::{
    case, check, epochs, log,
    people::{CONVERSATION, INSTANCE, Person, conversation, people, secret, server},
};
use crate::e2ee::{
    Envelope, EpochSecret, SigningKey, first_card,
    message::{encrypt, message_aad, message_key, seal_name_text, seal_text, signed_text},
    next_card,
};

const ID: &str = "fc2515cb-e483-4f64-936b-98f680565c96";
const STATION: &str = "0123456789abcdef0123456789abcdef";
/// The body of the vector in docs/e2ee.md.
const BODY: &str = r#"{"at":"2026-11-24 12:00:00","head":[0,"13f417dd43046d3b687ecb03d1299804f492a705b13ebefc9709c75a877f1d99"],"kind":"text","n":1,"text":"Hello","v":1}"#;

/// The writer: the Administrator of the published examples, with Ann's keys.
struct Writer {
    user: UserId,
    card: SignedCard,
    ann: Person,
    instance: Instance,
}

impl Writer {
    fn new(ann: Person) -> Self {
        let email = Email::parse("admin@ozeki.hu").unwrap();
        Self {
            user: UserId::of(&email),
            card: first_card(email, server(), &ann.sign, &ann.rsa, None).unwrap(),
            ann,
            instance: Instance::parse(INSTANCE).unwrap(),
        }
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope {
            conversation: conversation(),
            instance: &self.instance,
            id: MessageId::parse(ID).unwrap(),
            user: self.user,
            station: StationId::parse(STATION).unwrap(),
            r#type: "Message",
        }
    }

    fn sealed(&self, text: &str, key: &SigningKey) -> String {
        let epoch = Epoch::FIRST;
        seal_text(&self.envelope(), epoch, &secret(), key, text, [0; 12]).unwrap()
    }

    fn case(&self, data: &str) -> Value {
        json!({
            "conversation": CONVERSATION, "instance": INSTANCE, "id": ID, "user": self.user, "station": STATION,
            "type": "Message", "secret": hex::encode(secret().as_bytes()), "cards": [self.card.card.text()],
            "data": data,
        })
    }

    /// Encrypts any plaintext correctly.
    fn encrypted(&self, plaintext: &[u8]) -> String {
        let (envelope, secret) = (self.envelope(), secret());
        let key = message_key(&envelope, &secret).unwrap();
        let aad = message_aad(&envelope, Epoch::FIRST, secret.kid()).unwrap();
        encrypt(
            b'P',
            Epoch::FIRST,
            secret.kid(),
            (&key, &aad),
            plaintext,
            [0; 12],
        )
        .unwrap()
    }

    /// The vector's plaintext, without its padding.
    fn plaintext(&self) -> Vec<u8> {
        let aad = message_aad(&self.envelope(), Epoch::FIRST, secret().kid()).unwrap();
        let signature = self.ann.sign.sign(&signed_text(&aad, BODY)).unwrap();
        let length = u32::try_from(BODY.len()).unwrap().to_be_bytes();
        [&length, BODY.as_bytes(), signature.as_bytes()].concat()
    }
}

fn with(mut case: Value, field: &str, value: Value) -> Value {
    case[field] = value;
    case
}

fn body(changes: &Value) -> String {
    let mut value: Value = serde_json::from_str(BODY).unwrap();
    let fields = value.as_object_mut().unwrap();
    fields.extend(changes.as_object().unwrap().clone());
    canonical::write(&value).unwrap()
}

fn flipped(data: &str, at: usize) -> String {
    let mut bytes = STANDARD.decode(data).unwrap();
    bytes[at] ^= 1;
    STANDARD.encode(bytes)
}

fn padded(mut plaintext: Vec<u8>, to: usize) -> Vec<u8> {
    plaintext.resize(to, 0);
    plaintext
}

#[test]
fn the_message_is_that_of_the_documentation() {
    let writer = Writer::new(people().into_iter().next().unwrap());
    let data = writer.sealed(BODY, &writer.ann.sign);
    assert_eq!(hex::encode(secret().kid()), "e93dc44f16e753f1");
    assert_eq!(data.len(), 400);
    assert_eq!(
        hex::encode(digest(&SHA256, data.as_bytes())),
        "39b1b5e9c626bdc93a07907dc7a8a1fb6c69b97f740d8727b37bd43af59b1e37"
    );
}

pub(super) fn messages() -> Value {
    let [ann, ben, eve] = people();
    let announcement = epochs::first(&ann, &ben);
    let entries = [log::entry(&ann, 1, ann.card.card.hash())];
    let writer = Writer::new(ann);
    let key = &writer.ann.sign;
    let data = writer.sealed(BODY, key);
    let good = writer.case(&data);
    let other = |field: &str, value: Value| with(good.clone(), field, value);
    let says = |changes: Value| writer.case(&writer.sealed(&body(&changes), key));
    let renewed = next_card(&writer.card.card, &ben.sign, &writer.ann.rsa, Some(key)).unwrap();
    let texts = |cards: &[&Card]| json!(cards.iter().map(|card| card.text()).collect::<Vec<_>>());

    let beginning = Chain::beginning(conversation(), &writer.instance);
    let chain = beginning.link(1, MessageId::parse(ID).unwrap(), DataHash::of("SGVsbG8="));
    let view = json!({
        "seq": 2, "chain": { "1": chain }, "announcement": announcement.text(), "last": 6,
        "log": log::kept(&entries),
    });
    let log_root = check::log_root(&entries);
    let seen = json!({
        "n": 7, "head": [1, chain], "ep": announcement.hash(), "log": [1, log_root],
    });
    let read = |changes: Value| {
        let mut all = seen.clone();
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        with(says(all), "view", view.clone())
    };
    let published = {
        let aad = [
            conversation().as_bytes().as_slice(),
            INSTANCE.as_bytes(),
            writer.envelope().id.as_bytes(),
        ]
        .concat();
        let key = super::super::cipher::Key::new(*secret().as_bytes());
        STANDARD.encode(super::super::cipher::seal(&key, [0; 12], &aad, b"{}").unwrap())
    };
    let plaintext = writer.plaintext();
    let mut dirty = padded(plaintext.clone(), 256);
    dirty[255] = 1;
    let mut too_long = padded(plaintext.clone(), 256);
    too_long[1] = 1;
    let spaced = BODY.replace(':', ": ");
    let twice = BODY.replace("\"n\":1", "\"n\":1,\"n\":1");
    let cases = [
        ("good: the vector of the documentation", good.clone()),
        ("good: all that a reader checks", read(json!({}))),
        (
            "good: nothing is said of the key log and the epoch",
            with(
                says(json!({ "n": 7, "head": [1, chain] })),
                "view",
                view.clone(),
            ),
        ),
        (
            "good: an unknown kind with another text",
            says(json!({ "kind": "poll", "alt": "A poll" })),
        ),
        ("good: a newer version", says(json!({ "v": 2 }))),
        (
            "good: a file with a caption, a reply that mentions somebody",
            says(json!({
                "kind": "file", "text": "For you, @Ben", "mentions": [ben.user],
                "reply": { "id": "e64fa984-9b2c-4d32-a965-a1faca1d5b83", "user": ben.user, "quote": "Where is it?" },
                "files": [{
                    "id": "6e7f5f8a-2d6b-4d0c-9d1e-0f1e2d3c4b5a", "name": "map.png", "mime": "image/png", "size": 5,
                    "records": 1, "key": STANDARD.encode([7; 32]), "digest": "11".repeat(32), "w": 2, "h": 1,
                }],
            })),
        ),
        (
            "good: an unknown field",
            says(json!({ "later": [1, "é", null] })),
        ),
        (
            "good: 1,000 characters",
            says(json!({ "text": "é".repeat(1000) })),
        ),
        (
            "good: 5,000 characters",
            says(json!({ "text": "a".repeat(5000) })),
        ),
        (
            "good: written before its sender's card was renewed",
            other("cards", texts(&[&writer.card.card, &renewed.card])),
        ),
        (
            "the row is another sender's",
            with(
                other("user", json!(ben.user)),
                "cards",
                texts(&[&ben.card.card]),
            ),
        ),
        (
            "the row is another station's",
            other("station", json!("ff".repeat(16))),
        ),
        (
            "another id",
            other("id", json!("e64fa984-9b2c-4d32-a965-a1faca1d5b83")),
        ),
        ("another type", other("type", json!("Update"))),
        (
            "another conversation",
            other("conversation", json!("00".repeat(16))),
        ),
        ("another instance", other("instance", json!("PqjfKSn7V9"))),
        ("another epoch", other("data", json!(flipped(&data, 4)))),
        ("another kid", other("data", json!(flipped(&data, 6)))),
        ("another nonce", other("data", json!(flipped(&data, 14)))),
        (
            "a bit of the ciphertext",
            other("data", json!(flipped(&data, 100))),
        ),
        (
            "a bit of the tag",
            other("data", json!(flipped(&data, 297))),
        ),
        ("another secret", other("secret", json!("21".repeat(32)))),
        (
            "written by another participant in the sender's name",
            writer.case(&writer.sealed(BODY, &eve.sign)),
        ),
        (
            "no card of the sender is known",
            other("cards", texts(&[&ben.card.card])),
        ),
        (
            "the sender has another key by now",
            other("cards", texts(&[&renewed.card])),
        ),
        (
            "the published form, which nobody signs",
            writer.case(&published),
        ),
        ("not base64", writer.case("Hello!")),
        ("cut off", writer.case(&data[..200])),
        (
            "something in the padding",
            writer.case(&writer.encrypted(&dirty)),
        ),
        (
            "more padding than needed",
            writer.case(&writer.encrypted(&padded(plaintext.clone(), 512))),
        ),
        ("no padding", writer.case(&writer.encrypted(&plaintext))),
        (
            "a body that is longer than all",
            writer.case(&writer.encrypted(&too_long)),
        ),
        (
            "a space in the body",
            writer.case(&writer.sealed(&spaced, key)),
        ),
        ("a field twice", writer.case(&writer.sealed(&twice, key))),
        ("a body without a number", says(json!({ "n": null }))),
        (
            "the two were shown different messages",
            read(json!({ "head": [1, beginning] })),
        ),
        (
            "the writer had seen what is not there",
            read(json!({ "head": [3, chain] })),
        ),
        (
            "a message of the station is missing",
            read(json!({ "n": 8 })),
        ),
        ("a number twice", read(json!({ "n": 6 }))),
        (
            "the writer was shown another announcement",
            read(json!({ "ep": "11".repeat(32) })),
        ),
        (
            "the writer was shown another key log",
            read(json!({ "log": [1, "11".repeat(32)] })),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check::message, name, &input));
    json!({
        "about": "A row, with the secret that the reader has of its epoch, and the sender's pinned cards. With `view` the reader also checks what they were shown themselves: `seq` of the row, `chain` before it, the announcement of its epoch, the number of the station's message before, and the key log.",
        "cases": cases.collect::<Vec<_>>(),
    })
}

pub(super) fn names() -> Value {
    let [ann, ben, eve] = people();
    let text = |v: u32, by: UserId| {
        canonical::write(&json!({ "v": v, "name": "Garden", "by": by })).unwrap()
    };
    let sealed = |text: &str, key: &SigningKey, secret: &EpochSecret| {
        seal_name_text(conversation(), Epoch::FIRST, secret, key, text, [0; 12]).unwrap()
    };
    let input = |displayname: &str| {
        json!({
            "conversation": CONVERSATION, "secret": hex::encode(secret().as_bytes()),
            "cards": [ann.card.card.text(), ben.card.card.text()], "displayname": displayname,
        })
    };
    let name = sealed(&text(1, ann.user), &ann.sign, &secret());
    let mut message = STANDARD.decode(&name).unwrap();
    message[0] = b'P';
    let spaced = text(1, ann.user).replace(':', ": ");
    let cases = [
        ("good: a name", input(&name)),
        (
            "of another conversation",
            with(input(&name), "conversation", json!("00".repeat(16))),
        ),
        ("of another epoch", input(&flipped(&name, 4))),
        ("a bit of it", input(&flipped(&name, 50))),
        (
            "with another secret",
            with(input(&name), "secret", json!("21".repeat(32))),
        ),
        (
            "by someone else in Ann's name",
            input(&sealed(&text(1, ann.user), &ben.sign, &secret())),
        ),
        (
            "by someone whose card is not known",
            input(&sealed(&text(1, eve.user), &eve.sign, &secret())),
        ),
        ("a message in its place", input(&STANDARD.encode(message))),
        ("a name that nobody signed", input("bmFtZQ==")),
        (
            "a version that is not known",
            input(&sealed(&text(2, ann.user), &ann.sign, &secret())),
        ),
        (
            "a space in it",
            input(&sealed(&spaced, &ann.sign, &secret())),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check::name, name, &input));
    json!({
        "about": "A displayname, with the secret that the reader has of its epoch, and the cards that are pinned.",
        "cases": cases.collect::<Vec<_>>(),
    })
}
