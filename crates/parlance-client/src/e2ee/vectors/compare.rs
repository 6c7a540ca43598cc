//! Safety numbers, QR codes and invitations, which people compare.

use parlance_wire::{key::Credential, text::FullName};
use serde_json::{Value, json};
use url::Url;

use super::{
    case, check,
    epochs::head,
    people::{conversation, people},
};
use crate::e2ee::{Code, Invitation};

pub(super) fn cases() -> Value {
    let [ann, ben, eve] = people();
    let hash = |person: &super::people::Person| person.card.card.hash();
    let code = Code {
        user: ann.user,
        card: hash(&ann),
        conversation: conversation(),
        seq: 7,
        chain: head().chain.unwrap(),
    };
    let code = code.to_text();
    let invitation = Invitation::from_secret(
        Credential::new("c0de+/& c0de".into()).unwrap(),
        ann.user,
        hash(&ann),
        [0x1b; 32],
    );
    let link = invitation.link(&Url::parse("https://chat.example.org/join?lang=en").unwrap());
    let mut named = invitation.clone();
    named.name = FullName::parse("Ágnes & Béla");
    let named = named.link(&Url::parse("https://chat.example.org/").unwrap());
    let capitals = |part: &str| link.as_str().replace(part, &part.to_uppercase());
    let proof = |link: &str, newcomer: &super::people::Person, mac: &str| json!({ "link": link, "newcomer": hash(newcomer), "mac": mac });
    let mac = invitation.proof(hash(&ben));
    let other_card = link
        .as_str()
        .replace(&hash(&ann).to_string(), &hash(&eve).to_string());
    let other_secret = link.as_str().replace(&"1b".repeat(32), &"1c".repeat(32));
    let cases = [
        (
            "good: a safety number",
            json!({ "numbers": [ann.card.card, ben.card.card] }),
        ),
        (
            "good: the same number on the other side",
            json!({ "numbers": [ben.card.card, ann.card.card] }),
        ),
        ("good: a QR code", json!({ "code": code })),
        ("good: an invitation", proof(link.as_str(), &ben, &mac)),
        (
            "good: an invitation with the inviter's name",
            proof(named.as_str(), &ben, &mac),
        ),
        (
            "a QR code with something behind it",
            json!({ "code": format!("{code}:1") }),
        ),
        (
            "a QR code in capital letters",
            json!({ "code": code.to_uppercase() }),
        ),
        (
            "a QR code with a number written otherwise",
            json!({ "code": code.replace(":7:", ":07:") }),
        ),
        (
            "the proof of another card",
            proof(link.as_str(), &eve, &mac),
        ),
        (
            "the link names another card of the inviter's",
            proof(&other_card, &ben, &mac),
        ),
        ("another secret", proof(&other_secret, &ben, &mac)),
        ("half a proof", proof(link.as_str(), &ben, &mac[..32])),
        (
            "a part of the link twice",
            proof(&format!("{link}&v={}", "1b".repeat(32)), &ben, &mac),
        ),
        (
            "a link with two names",
            proof(&format!("{named}&name=Eve"), &ben, &mac),
        ),
        (
            "a link with an unknown part twice",
            proof(&format!("{link}&x=1&x=1"), &ben, &mac),
        ),
        (
            "a link with the inviter in capital letters",
            proof(&capitals(&ann.user.to_string()), &ben, &mac),
        ),
        (
            "a link with the card in capital letters",
            proof(&capitals(&hash(&ann).to_string()), &ben, &mac),
        ),
        (
            "a link with the secret in capital letters",
            proof(&capitals(&"1b".repeat(32)), &ben, &mac),
        ),
        (
            "a link without a secret",
            proof(link.as_str().split("&v=").next().unwrap(), &ben, &mac),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check::compare, name, &input));
    json!({
        "about": "Two cards and their safety number; the text of a QR code; an invitation's link with the proof that a newcomer with this card sends.",
        "cases": cases.collect::<Vec<_>>(),
    })
}
