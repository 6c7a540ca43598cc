//! The key log: followed, forked, shrunk.

use parlance_wire::{
    e2ee::{CardHash, LogEntry, LogHead, LogRoot, ServerId, Tag, Tree},
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{
    case, check,
    people::{Person, people, server, server_key},
};
use crate::e2ee::{SigningKey, next_card};

pub(super) fn entry(person: &Person, n: u64, card: CardHash) -> LogEntry {
    let tag = Tag::of(server(), person.user).unwrap();
    LogEntry { tag, n, card }
}

fn tree(entries: &[LogEntry]) -> Tree {
    let mut tree = Tree::default();
    for entry in entries {
        tree.append(entry.leaf());
    }
    tree
}

fn bytes(entries: &[LogEntry]) -> Vec<u8> {
    entries.iter().flat_map(LogEntry::to_bytes).collect()
}

pub(super) fn kept(entries: &[LogEntry]) -> Value {
    use base64::{Engine, engine::general_purpose::STANDARD};
    json!({
        "server": server(), "key": server_key().public(), "entries": STANDARD.encode(bytes(entries)),
    })
}

fn signed(server: ServerId, tree: &Tree, key: &SigningKey) -> (String, Value) {
    let time = Timestamp::parse("2026-11-24 12:00:00").unwrap();
    let head = LogHead::new(server, tree, time).unwrap();
    let signature = json!(key.sign(&head.signed_text()).unwrap());
    (head.text().to_owned(), signature)
}

pub(super) fn cases() -> Value {
    let [ann, ben, eve] = people();
    let second = next_card(&ann.card.card, &ben.sign, &ann.rsa, Some(&ann.sign)).unwrap();
    let hash = |person: &Person| person.card.card.hash();
    let entries = [
        entry(&ann, 1, hash(&ann)),
        entry(&ben, 1, hash(&ben)),
        entry(&ann, 2, second.card.hash()),
    ];
    let key = server_key();
    let follow = |before: &[LogEntry], after: &[LogEntry], whole: &[LogEntry]| {
        let (head, signature) = signed(server(), &tree(whole), &key);
        json!({
            "server": server(), "key": key.public(), "before": kept(before)["entries"],
            "entries": hex::encode(bytes(after)), "head": head, "signature": signature,
            "user": ann.user, "own": { "1": hash(&ann), "2": second.card.hash() },
        })
    };
    let with = |mut case: Value, field: &str, value: Value| {
        case[field] = value;
        case
    };
    let all = follow(&entries[..1], &entries[1..], &entries);
    let foreign = [entries[0], entries[1], entry(&ann, 2, hash(&eve))];
    let (other_head, other_signature) = signed(
        ServerId::parse("ff0102030405060708090a0b0c0d0e0f").unwrap(),
        &tree(&entries),
        &key,
    );
    let by_eve = signed(server(), &tree(&entries), &eve.sign).1;
    let root = |size: usize| tree(&entries[..size]).root();
    let wrong_root = LogRoot::from_bytes([7; 32]);
    let spaced = all["head"].as_str().unwrap().replacen(':', ": ", 1);
    let cases = [
        ("good: from the beginning", follow(&[], &entries, &entries)),
        ("good: from the first entry on", all.clone()),
        ("good: nothing is new", follow(&entries, &[], &entries)),
        (
            "good: a card that is the newest of its user",
            with(all.clone(), "card", json!(second.card)),
        ),
        (
            "good: a message that had seen less of it",
            with(all.clone(), "mark", json!([1, root(1)])),
        ),
        (
            "good: a message that has seen more of it",
            with(all.clone(), "mark", json!([9, wrong_root])),
        ),
        (
            "another log than before",
            follow(&[entry(&ann, 1, hash(&eve))], &entries[1..], &entries),
        ),
        (
            "another log of the same size",
            follow(
                &[entries[0], entry(&eve, 1, hash(&eve))],
                &[],
                &entries[..2],
            ),
        ),
        ("it has shrunk", follow(&entries, &[], &entries[..2])),
        ("an entry is withheld", follow(&[], &entries[..2], &entries)),
        (
            "a card in the user's name that is not theirs",
            follow(&[], &foreign, &foreign),
        ),
        (
            "a user's cards out of order",
            follow(
                &[],
                &[entry(&ann, 2, second.card.hash())],
                &[entry(&ann, 2, second.card.hash())],
            ),
        ),
        (
            "a number twice",
            follow(
                &[],
                &[entries[1], entry(&ben, 1, hash(&eve))],
                &[entries[1], entry(&ben, 1, hash(&eve))],
            ),
        ),
        (
            "the head is not signed by the server",
            with(all.clone(), "signature", by_eve),
        ),
        (
            "the head of another server",
            with(
                with(all.clone(), "head", json!(other_head)),
                "signature",
                other_signature,
            ),
        ),
        (
            "the head is not canonical",
            with(all.clone(), "head", json!(spaced)),
        ),
        (
            "half an entry",
            with(
                all.clone(),
                "entries",
                json!(hex::encode(&bytes(&entries[1..])[..100])),
            ),
        ),
        (
            "a card that is not in it",
            with(all.clone(), "card", json!(eve.card.card)),
        ),
        (
            "a card that is not the newest any more",
            with(all.clone(), "card", json!(ann.card.card)),
        ),
        (
            "a message that was shown another log",
            with(all, "mark", json!([2, wrong_root])),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check::log, name, &input));
    json!({
        "about": "The client of `user`, whose own cards are `own`, has followed the entries `before` (base64), and gets `entries` (hex) with a head. Then it is asked for the newest card of someone, or reads the mark of a message.",
        "cases": cases.collect::<Vec<_>>(),
    })
}
