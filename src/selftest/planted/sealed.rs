//! Planted faults: messages that are encrypted or signed wrongly, or with the wrong secret.

use std::time::Instant;

use parlance_client::e2ee::{EpochSecret, NewEpoch, SignedAnnouncement};
use serde_json::{Value, json};

use super::{
    await_later_moment,
    group::{GROUP, Group, Planted},
};
use crate::selftest::{
    findings::Kind,
    keyring::{Keyring, Shown},
    ledger::View,
};

#[test]
fn what_is_sealed_and_stored_as_it_must_be_is_found_good() {
    let mut group = Group::new();
    for by in [0, 1, 0, 2] {
        group.writes(by, 1);
    }
    group.rekey(&[0, 1]);
    let cleo = group.people[2].id;
    group.ledger.is_out(GROUP, cleo, Instant::now());
    await_later_moment();
    for by in [1, 0] {
        group.writes(by, 2);
    }
    group.ledger.comes_back(GROUP, cleo, Instant::now());
    group.rekey(&[0, 1, 2]);
    group.writes(2, 3);
    group.found(&[]);
}

#[test]
fn a_message_in_anothers_name_is_counted() {
    let mut group = Group::new();
    group.writes(0, 1);
    group.write(Planted {
        signed_by: 2,
        ..Group::good(0, 1)
    });
    group.found(&[(Kind::BadSignature, 1)]);
}

#[test]
fn a_row_under_another_ones_id_is_counted() {
    let mut group = Group::new();
    group.writes(0, 1);
    group.writes(1, 1);
    // Its place in the chain is unchanged.
    group.rows[1]["User"] = group.rows[0]["User"].clone();
    group.found(&[(Kind::Undecryptable, 1)]);
}

#[test]
fn a_secret_that_is_not_given_to_a_member_is_counted_and_not_of_one_who_was_no_member() {
    let mut group = Group::new();
    group.writes(0, 1);
    group.keyring = Keyring::default();
    group.found(&[(Kind::Undecryptable, 1)]);
    // Written while Ben was not in the group.
    let mut group = Group::new();
    group.rekey(&[0, 2]);
    group.writes(0, 2);
    group.rekey(&[0, 1, 2]);
    group.writes(0, 3);
    let (second, mut keyring) = (group.epochs[1].secret.kid(), Keyring::default());
    std::mem::swap(&mut keyring, &mut group.keyring);
    group.keyring.announced(GROUP, &group.epochs[2]);
    assert!(keyring.key(GROUP, second).is_some() && group.keyring.key(GROUP, second).is_none());
    group.found(&[]);
}

#[test]
fn a_message_of_another_epoch_than_it_names_or_of_none_is_counted() {
    let mut group = Group::new();
    group.write(Planted {
        epoch: 2,
        ..Group::good(0, 1)
    });
    group.found(&[(Kind::WrongEpoch, 1)]);
    let mut group = Group::new();
    group.writes(0, 1);
    group.ledger.epochs.clear();
    group.found(&[(Kind::WrongEpoch, 1)]);
}

#[test]
fn a_writer_who_was_shown_other_messages_is_counted() {
    let mut group = Group::new();
    group.writes(0, 1);
    group.write(Planted {
        head: Some((1, [7; 32])),
        ..Group::good(1, 1)
    });
    // And one whose head is a later message.
    let later = (4, [7; 32]);
    group.write(Planted {
        head: Some(later),
        ..Group::good(1, 1)
    });
    group.found(&[(Kind::WrongHead, 2)]);
}

#[test]
fn a_number_that_is_missing_or_comes_twice_is_counted() {
    let mut group = Group::new();
    group.writes(0, 1);
    group.write(Planted {
        skips: 1,
        ..Group::good(0, 1)
    });
    group.write(Planted {
        skips: -1,
        ..Group::good(0, 1)
    });
    group.found(&[(Kind::Lost, 1), (Kind::Doubled, 1)]);
}

#[test]
fn what_is_stored_under_an_epoch_that_had_ended_is_counted() {
    let mut group = Group::new();
    group.rekey(&[0, 1, 2]);
    group.writes(0, 1);
    group.found(&[(Kind::DeadKey, 1)]);
    // Sealed in time, but stored after a message of the next epoch.
    let mut group = Group::new();
    group.rekey(&[0, 1, 2]);
    for epoch in group.ledger.epochs.get_mut(&GROUP).unwrap().values_mut() {
        epoch.ended = None;
    }
    group.writes(0, 2);
    group.writes(1, 1);
    group.found(&[(Kind::DeadKey, 1)]);
}

#[test]
fn what_someone_who_was_removed_has_the_secret_of_is_counted() {
    let mut group = Group::new();
    let cleo = group.people[2].id;
    group.ledger.is_out(GROUP, cleo, Instant::now());
    await_later_moment();
    // She was removed, but no epoch has begun.
    group.writes(0, 1);
    group.found(&[(Kind::ReadableByRemoved, 1)]);
    // An epoch has begun, and the server gave her its secret.
    let mut group = Group::new();
    group.rekey(&[0, 1]);
    group.ledger.is_out(GROUP, cleo_of(&group), Instant::now());
    await_later_moment();
    group.writes(0, 2);
    let given = (GROUP, cleo_of(&group), group.epochs[1].secret.kid());
    group.ledger.given.insert(given);
    group.found(&[(Kind::ReadableByRemoved, 1)]);
}

fn cleo_of(group: &Group) -> u128 {
    group.people[2].id
}

#[test]
fn a_list_that_shows_an_epoch_that_had_ended_is_counted() {
    let mut group = Group::new();
    group.rekey(&[0, 1, 2]);
    let lists = |epoch: Value| {
        let view = View {
            reader: group.people[1].id,
            asked: Some(Instant::now()),
        };
        let listed = json!({ "epoch": epoch });
        group
            .ledger
            .check_listed_epoch(GROUP, &listed, view, &group.findings);
        group.findings.count(Kind::WrongEpoch)
    };
    assert_eq!(lists(json!(2)), 0);
    // A published client gets no epochs.
    assert_eq!(lists(Value::Null), 0);
    assert_eq!(lists(json!(1)), 1);
}

/// Ben's findings about epochs (newest first), each with a copy of its secret.
fn follows(group: &Group, shown: &[(&SignedAnnouncement, &EpochSecret)]) -> Option<Kind> {
    let public_key = parlance_wire::key::PublicKey::parse(group.key.public_key()).unwrap();
    let shown: Vec<Shown> = shown
        .iter()
        .map(|(announcement, secret)| Shown {
            announcement: (*announcement).clone(),
            secret: secret.wrap(&public_key).unwrap().as_str().to_owned(),
        })
        .collect();
    Keyring::default()
        .take(&group.conversation, &shown, &group.directory, &group.key)
        .err()
        .map(|(kind, _)| kind)
}

fn of(epoch: &NewEpoch) -> (&SignedAnnouncement, &EpochSecret) {
    (&epoch.announcement, &epoch.secret)
}

#[test]
fn epochs_that_do_not_follow_one_another_are_counted() {
    let mut group = Group::new();
    group.rekey(&[0, 1, 2]);
    group.rekey(&[0, 1]);
    let [first, second, third] = group.epochs.as_slice() else {
        unreachable!()
    };
    assert_eq!(follows(&group, &[of(third), of(second), of(first)]), None);
    assert_eq!(follows(&group, &[]), Some(Kind::WrongEpoch));
    // A missing one, and one that differs from the announced one.
    let skipped = follows(&group, &[of(third), of(first)]);
    assert_eq!(skipped, Some(Kind::WrongEpoch));
    let branch = group.next(first, &[0, 1, 2]);
    let after = follows(&group, &[of(third), of(&branch), of(first)]);
    assert_eq!(after, Some(Kind::WrongEpoch));
    // A secret that was not announced.
    let other = (&second.announcement, &first.secret);
    assert_eq!(
        follows(&group, &[of(third), other, of(first)]),
        Some(Kind::Undecryptable)
    );
    // Another user's signature.
    let signature = group.people[2]
        .sign
        .sign(&second.announcement.announcement.signed_text());
    let forged = SignedAnnouncement {
        signature: signature.unwrap(),
        ..second.announcement.clone()
    };
    assert_eq!(
        follows(&group, &[(&forged, &second.secret), of(first)]),
        Some(Kind::BadSignature)
    );
}
