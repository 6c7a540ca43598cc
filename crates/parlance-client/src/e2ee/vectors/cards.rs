//! Cards: good ones, and what a server or someone else could put in their place.

use parlance_wire::e2ee::ServerId;
use serde_json::{Value, json};

use super::{
    case, check,
    people::{Person, forge_card, people, server, sign_card},
};
use crate::e2ee::next_card;

fn input(user: &Person, pinned: &[Value], offered: &[Value]) -> Value {
    let mut case = json!({
        "server": server(), "user": user.user, "offered": offered,
        "publickey": user.public.as_str(), "send": true,
    });
    if !pinned.is_empty() {
        case["pinned"] = json!(pinned);
        case["pinnedkey"] = json!(user.public.as_str());
    }
    case
}

pub(super) fn cases() -> Value {
    let [ann, ben, eve] = people();
    let first = json!(ann.card);
    // Ann's second card has Ben's signing key: any other key will do.
    let second = next_card(&ann.card.card, &ben.sign, &ann.rsa, Some(&ann.sign)).unwrap();
    let third = next_card(&second.card, &ann.sign, &ann.rsa, Some(&ben.sign)).unwrap();
    let lost = next_card(&ann.card.card, &ben.sign, &ann.rsa, None).unwrap();
    let (second, third, lost) = (json!(second), json!(third), json!(lost));
    let forge = |changes: Value| forge_card(&ann.card.card, &changes, &ann.sign, &ann.rsa, None);
    let raw = |from: &str, to: &str| {
        let text = ann.card.card.text();
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed);
        sign_card(&changed, &ann.sign, &ann.rsa, None)
    };
    let small_order = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let mut broken = first.clone();
    broken["signatures"]["sign"] = json!(ann.sign.sign(b"another text").unwrap());
    let with = |pinned: &[&Value], offered: &[&Value]| {
        let all = |cards: &[&Value]| cards.iter().map(|card| (*card).clone()).collect::<Vec<_>>();
        input(&ann, &all(pinned), &all(offered))
    };
    let mut other_rsa = with(&[], &[&first]);
    other_rsa["publickey"] = json!(eve.public.as_str());
    let by_eve = next_card(&ann.card.card, &eve.sign, &ann.rsa, None).unwrap();
    let by_eve = forge_card(
        &by_eve.card,
        &json!({}),
        &eve.sign,
        &ann.rsa,
        Some(&eve.sign),
    );
    let rsa_by_eve = forge_card(&ann.card.card, &json!({}), &ann.sign, &eve.rsa, None);
    let first_with_prev = forge_card(
        &ann.card.card,
        &json!({}),
        &ann.sign,
        &ann.rsa,
        Some(&ann.sign),
    );
    let other_first = forge_card(
        &ann.card.card,
        &json!({ "sign": ben.sign.public() }),
        &ben.sign,
        &ann.rsa,
        None,
    );
    let other_server = ServerId::parse("ff0102030405060708090a0b0c0d0e0f").unwrap();
    let cases = [
        ("good: a first card is pinned", with(&[], &[&first])),
        ("good: the pinned card again", with(&[&first], &[&first])),
        (
            "good: a card that its predecessor signed",
            with(&[&first], &[&first, &second]),
        ),
        (
            "good: two renewals at once",
            with(&[&first], &[&second, &third]),
        ),
        (
            "good: a new contact with three cards",
            with(&[], &[&first, &second, &third]),
        ),
        (
            "a card without its predecessor: sending stops",
            with(&[&first], &[&lost]),
        ),
        (
            "signed by someone else in the predecessor's place",
            with(&[&first], &[&by_eve]),
        ),
        ("a card was left out", with(&[&first], &[&third])),
        (
            "another card of the same number",
            with(&[&first], &[&other_first]),
        ),
        ("an older card", with(&[&first, &second], &[&first])),
        ("the signature is over another text", with(&[], &[&broken])),
        (
            "the RSA signature is someone else's",
            with(&[], &[&rsa_by_eve]),
        ),
        ("the public key is someone else's", other_rsa),
        ("of another user", with(&[], &[&json!(eve.card)])),
        (
            "of another server",
            with(&[], &[&forge(json!({ "server": other_server }))]),
        ),
        (
            "the user is not that of the address",
            with(&[], &[&forge(json!({ "email": "eve@example.org" }))]),
        ),
        (
            "a key with which everything verifies",
            with(&[], &[&forge(json!({ "sign": small_order }))]),
        ),
        (
            "a version that is not known",
            with(&[], &[&forge(json!({ "v": 2 }))]),
        ),
        (
            "a first card that names a predecessor",
            with(&[], &[&forge(json!({ "prev": ann.card.card.hash() }))]),
        ),
        (
            "a second card that names none",
            with(&[], &[&forge(json!({ "n": 2 }))]),
        ),
        (
            "a first card with a predecessor's signature",
            with(&[], &[&first_with_prev]),
        ),
        (
            "a field that nobody knows",
            with(&[], &[&forge(json!({ "w": 1 }))]),
        ),
        ("a space in the text", with(&[], &[&raw(":1,", ": 1,")])),
        (
            "a number with a fraction",
            with(&[], &[&raw("\"n\":1", "\"n\":1.0")]),
        ),
        (
            "a field twice",
            with(&[], &[&raw("\"n\":1", "\"n\":1,\"n\":1")]),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check::card, name, &input));
    json!({
        "about": "A client knows the cards in `pinned` of `user`, in this order, and is offered those in `offered`; then it wants to send.",
        "cases": cases.collect::<Vec<_>>(),
    })
}
