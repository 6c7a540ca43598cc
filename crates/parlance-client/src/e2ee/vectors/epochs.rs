//! Announcements of epochs: good ones, and forged ones.

use std::collections::{BTreeMap, BTreeSet};

use parlance_wire::{
    chain::Chain,
    e2ee::{Announcement, Changes, Head, MemberKey, roster},
    id::ConversationId,
    text::Instance,
};
use serde_json::{Value, json};

use super::{
    case, check,
    people::{INSTANCE, Person, conversation, forge_epoch, people, secret, sign_epoch},
};
use crate::e2ee::{Members, next_card};

pub(super) fn member(person: &Person) -> MemberKey {
    MemberKey::Card(person.card.card.hash())
}

pub(super) fn members(people: &[&Person]) -> Members {
    people
        .iter()
        .map(|person| (person.user, member(person)))
        .collect()
}

pub(super) fn head() -> Head {
    let instance = Instance::parse(INSTANCE).unwrap();
    Head {
        seq: 0,
        chain: Some(Chain::beginning(conversation(), &instance)),
    }
}

/// The first epoch of a group of Ann, an admin, and Ben; its secret is the bytes 20..3f.
pub(super) fn first(ann: &Person, ben: &Person) -> Announcement {
    let members = members(&[ann, ben]);
    let changes = Changes {
        roster: roster(&members),
        admins: BTreeSet::from([ann.user]),
        added: members.keys().copied().collect(),
        removed: BTreeSet::new(),
        commit: secret().commitment(),
        by: ann.user,
        head: head(),
    };
    Announcement::first(conversation(), changes).unwrap()
}

/// The first epoch under the id of Ann's and Ben's direct conversation, with these people, by the
/// last of them.
fn direct(all: &[&Person], cards: &[String]) -> Value {
    let [ann, ben, _] = people();
    let by = all.last().unwrap();
    let conversation = ConversationId::between(ann.user, ben.user);
    let members = members(all);
    let changes = Changes {
        roster: roster(&members),
        admins: BTreeSet::new(),
        added: members.keys().copied().collect(),
        removed: BTreeSet::new(),
        commit: secret().commitment(),
        by: by.user,
        head: Head {
            seq: 0,
            chain: None,
        },
    };
    let announcement = Announcement::first(conversation, changes).unwrap();
    json!({
        "conversation": conversation, "members": members, "cards": cards,
        "announcements": [forge_epoch(&announcement, &json!({}), &by.sign)],
    })
}

pub(super) fn cases() -> Value {
    let [ann, ben, eve] = people();
    let first = first(&ann, &ben);
    let next = |before: &Announcement, by: &Person, all: &[&Person], was: &[&Person]| {
        let (all, was) = (members(all), members(was));
        let only = |one: &Members, other: &Members| -> BTreeSet<_> {
            one.keys()
                .filter(|user| !other.contains_key(user))
                .copied()
                .collect()
        };
        before
            .next(Changes {
                roster: roster(&all),
                admins: BTreeSet::from([ann.user]),
                added: only(&all, &was),
                removed: only(&was, &all),
                commit: secret().commitment(),
                by: by.user,
                head: head(),
            })
            .unwrap()
    };
    let (both, three) = ([&ann, &ben], [&ann, &ben, &eve]);
    // Eve is added, then removed by Ben, which anyone may do.
    let second = next(&first, &ann, &three, &both);
    let third = next(&second, &ben, &both, &three);
    // Ben announces an epoch without changes.
    let by_ben = next(&first, &ben, &both, &both);
    let renewed = next_card(&ann.card.card, &eve.sign, &ann.rsa, Some(&ann.sign)).unwrap();
    let mut with_renewed: BTreeMap<_, _> = members(&both);
    with_renewed.insert(ann.user, MemberKey::Card(renewed.card.hash()));

    // Ben has renewed his keys before the epoch was announced, and Ann since.
    let bens = next_card(&ben.card.card, &eve.sign, &ben.rsa, Some(&ben.sign)).unwrap();
    let mut of_both_times: BTreeMap<_, _> = members(&both);
    of_both_times.insert(ben.user, MemberKey::Card(bens.card.hash()));

    let texts = |cards: &[&parlance_wire::e2ee::Card]| -> Vec<String> {
        cards.iter().map(|card| card.text().to_owned()).collect()
    };
    let cards = texts(&[&ann.card.card, &ben.card.card, &eve.card.card]);
    let signed =
        |announcement: &Announcement, by: &Person| forge_epoch(announcement, &json!({}), &by.sign);
    let follow = |announcements: Vec<Value>| {
        json!({
            "known": first.text(), "members": members(&both), "cards": cards, "announcements": announcements,
        })
    };
    let with = |mut case: Value, field: &str, value: Value| {
        case[field] = value;
        case
    };
    let begin = |announcement: Value, all: &[&Person]| {
        json!({
            "conversation": conversation(), "members": members(all), "cards": cards, "announcements": [announcement],
        })
    };
    let forged =
        |changes: Value, by: &Person| follow(vec![forge_epoch(&by_ben, &changes, &by.sign)]);
    let as_ann = |changes: Value| {
        let mut all = json!({ "by": ann.user });
        all.as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        forged(all, &ann)
    };
    let users = |people: &[&Person]| -> BTreeSet<_> { people.iter().map(|one| one.user).collect() };
    let hex_secret = hex::encode(secret().as_bytes());
    let renewed_cards = texts(&[
        &ann.card.card,
        &renewed.card,
        &ben.card.card,
        &eve.card.card,
    ]);
    let of_renewed = forge_epoch(
        &by_ben,
        &json!({ "by": ann.user, "roster": roster(&with_renewed) }),
        &eve.sign,
    );
    let all_renewed = texts(&[
        &ann.card.card,
        &renewed.card,
        &ben.card.card,
        &bens.card,
        &eve.card.card,
    ]);
    let at_both_times = forge_epoch(
        &by_ben,
        &json!({ "roster": roster(&of_both_times) }),
        &eve.sign,
    );
    let chain = |announcements: Vec<Value>| {
        json!({
            "conversation": conversation(), "members": members(&both), "cards": all_renewed, "announcements": announcements,
        })
    };
    let fork = forge_epoch(&first, &json!({ "commit": "00".repeat(32) }), &ann.sign);
    let backwards: Vec<_> = users(&both).into_iter().rev().collect();
    let unsorted = second.text().replacen(
        &format!("\"admins\":[\"{}\"]", ann.user),
        &format!("\"admins\":[\"{}\",\"{}\"]", backwards[0], backwards[1]),
        1,
    );
    let cases = [
        (
            "good: the first that is seen, with its secret",
            with(
                begin(signed(&first, &ann), &both),
                "secret",
                json!(hex_secret),
            ),
        ),
        (
            "good: someone is added, and removed again",
            follow(vec![signed(&second, &ann), signed(&third, &ben)]),
        ),
        (
            "good: a new secret by a member, and the list is the roster",
            with(
                follow(vec![signed(&by_ben, &ben)]),
                "participants",
                json!(users(&both)),
            ),
        ),
        (
            "good: its maker has a renewed card",
            with(follow(vec![of_renewed]), "cards", json!(renewed_cards)),
        ),
        (
            "good: its maker did not know of a renewed card yet",
            with(
                follow(vec![signed(&by_ben, &ben)]),
                "cards",
                json!(renewed_cards),
            ),
        ),
        (
            "good: one member renewed their keys before it, another one after it",
            with(
                follow(vec![at_both_times.clone()]),
                "cards",
                json!(all_renewed),
            ),
        ),
        (
            "good: the first that is seen has cards from before and after a renewal",
            chain(vec![signed(&first, &ann), at_both_times]),
        ),
        (
            "good: the first that is seen is older than a removal that nobody has announced",
            chain(vec![signed(&first, &ann), signed(&second, &ann)]),
        ),
        (
            "good: the first that is seen follows others",
            chain(vec![
                signed(&first, &ann),
                signed(&second, &ann),
                signed(&third, &ben),
            ]),
        ),
        (
            "good: the first of a direct conversation",
            direct(&both, &cards),
        ),
        (
            "somebody who added themselves to a direct conversation of others",
            direct(&three, &cards),
        ),
        (
            "a direct conversation under the id of another one",
            direct(&[&ann, &eve], &cards),
        ),
        (
            "an epoch before the first that is seen was left out",
            chain(vec![signed(&second, &ann), signed(&third, &ben)]),
        ),
        (
            "a roster of nobody's cards",
            with(
                forged(json!({ "roster": "11".repeat(32) }), &ben),
                "cards",
                json!(renewed_cards),
            ),
        ),
        (
            "the secret was replaced",
            with(
                begin(signed(&first, &ann), &both),
                "secret",
                json!("21".repeat(32)),
            ),
        ),
        (
            "the first that is seen is another conversation's",
            with(
                begin(signed(&first, &ann), &both),
                "conversation",
                json!("00".repeat(16)),
            ),
        ),
        ("a roster with a ghost", begin(signed(&second, &ann), &both)),
        (
            "a roster with a ghost that no list names",
            forged(json!({ "roster": roster(&members(&three)) }), &ben),
        ),
        (
            "the server lists someone who is not in the roster",
            with(
                follow(vec![signed(&by_ben, &ben)]),
                "participants",
                json!(users(&three)),
            ),
        ),
        (
            "the server does not list someone who is",
            with(
                follow(vec![signed(&by_ben, &ben)]),
                "participants",
                json!(users(&[&ben])),
            ),
        ),
        ("an epoch was left out", follow(vec![signed(&third, &ben)])),
        (
            "the announcement before is another one",
            forged(json!({ "prev": "11".repeat(32) }), &ben),
        ),
        ("another announcement of the same epoch", follow(vec![fork])),
        (
            "the known epoch once more",
            follow(vec![signed(&first, &ann)]),
        ),
        (
            "its maker does not take part",
            forged(json!({ "by": eve.user }), &eve),
        ),
        (
            "signed by someone else in Ben's name",
            forged(json!({}), &eve),
        ),
        (
            "a member adds someone",
            forged(
                json!({ "added": [eve.user], "roster": roster(&members(&three)) }),
                &ben,
            ),
        ),
        (
            "a member makes themselves an admin",
            forged(json!({ "admins": users(&both) }), &ben),
        ),
        (
            "a member deposes the admin",
            forged(json!({ "admins": [ben.user] }), &ben),
        ),
        (
            "nobody is an admin any more",
            as_ann(json!({ "admins": [] })),
        ),
        (
            "someone is removed who was not there",
            as_ann(json!({ "removed": [eve.user] })),
        ),
        (
            "someone is added who was there",
            as_ann(json!({ "added": [ben.user] })),
        ),
        (
            "an admin who does not take part",
            as_ann(json!({ "admins": users(&[&ann, &eve]) })),
        ),
        (
            "its maker removes themselves",
            forged(json!({ "removed": [ben.user] }), &ben),
        ),
        (
            "someone is both added and removed",
            as_ann(json!({ "added": [eve.user], "removed": [eve.user] })),
        ),
        ("epoch 0", forged(json!({ "epoch": 0 }), &ben)),
        (
            "of another conversation",
            forged(json!({ "conversation": "00".repeat(16) }), &ben),
        ),
        (
            "the first epoch names one before it",
            begin(
                forge_epoch(&first, &json!({ "prev": "11".repeat(32) }), &ann.sign),
                &both,
            ),
        ),
        (
            "a list is not sorted",
            follow(vec![sign_epoch(&unsorted, &ann.sign)]),
        ),
        (
            "a version that is not known",
            forged(json!({ "v": 2 }), &ben),
        ),
    ];
    let cases = cases
        .into_iter()
        .map(|(name, input)| case(check::epoch, name, &input));
    json!({
        "about": "A client knows the announcement `known` and that `members` take part, and gets `announcements`; without `known` it begins with their last, and they are all that there are; `members` are those whom the server lists. `cards` are pinned, for each user the oldest first.",
        "cases": cases.collect::<Vec<_>>(),
    })
}
