//! Planted faults: rows that are shown to the wrong reader.

use std::time::Instant;

use serde_json::json;

use super::{
    await_later_moment,
    fixture::{CONVERSATION, Fixture, INSTANCE, READER},
};
use crate::selftest::{
    findings::Kind,
    form::plain,
    ledger::{Flags, Settled, View},
    rows::Message,
};

#[test]
fn rows_that_a_removed_participant_gets_are_counted() {
    let mut fixture = Fixture::new(1);
    fixture.ledger.members.insert(
        (CONVERSATION, READER),
        Settled {
            value: false,
            since: Some(Instant::now()),
        },
    );
    await_later_moment();
    fixture.write(2);
    let pushed = View {
        reader: READER,
        asked: None,
    };
    for row in &fixture.messages {
        fixture.ledger.check_message(
            CONVERSATION,
            INSTANCE,
            &Message::read(row).unwrap(),
            pushed,
            &fixture.findings,
        );
    }
    // The first was written before.
    fixture.found(&[(Kind::Leaked, 1)]);
    fixture.ledger.check_page(
        CONVERSATION,
        INSTANCE,
        View {
            reader: READER,
            asked: Some(Instant::now()),
        },
        &fixture.findings,
    );
    fixture.found(&[(Kind::Leaked, 2)]);
    // Not while they are being added again.
    fixture.ledger.members.insert(
        (CONVERSATION, READER),
        Settled {
            value: false,
            since: None,
        },
    );
    fixture.ledger.check_page(
        CONVERSATION,
        INSTANCE,
        View {
            reader: READER,
            asked: Some(Instant::now()),
        },
        &fixture.findings,
    );
    fixture.found(&[(Kind::Leaked, 2)]);
}

#[test]
fn an_instance_that_was_cleared_and_is_served_is_counted() {
    let mut fixture = Fixture::new(1);
    fixture
        .ledger
        .cleared
        .insert((CONVERSATION, INSTANCE.into()), Instant::now());
    await_later_moment();
    let view = View {
        reader: READER,
        asked: Some(Instant::now()),
    };
    fixture
        .ledger
        .check_page(CONVERSATION, INSTANCE, view, &fixture.findings);
    fixture
        .ledger
        .check_page(CONVERSATION, "0123456789", view, &fixture.findings);
    fixture.ledger.check_message(
        CONVERSATION,
        "0123456789",
        &Message::read(&fixture.messages[0]).unwrap(),
        view,
        &fixture.findings,
    );
    fixture.found(&[(Kind::OldInstance, 2)]);
    fixture.write(2);
    fixture.found(&[(Kind::OldInstance, 3)]);
}

#[test]
fn flags_that_their_owner_did_not_set_are_counted() {
    let mut fixture = Fixture::new(0);
    let flags = Flags {
        is_muted: true,
        ..Flags::default()
    };
    fixture.ledger.flags.insert(
        (CONVERSATION, READER),
        Settled {
            value: flags,
            since: Some(Instant::now()),
        },
    );
    await_later_moment();
    let view = View {
        reader: READER,
        asked: Some(Instant::now()),
    };
    let listed = |muted: &[String]| json!({ "mutedby": muted, "favoriteby": [], "hiddenby": [], "properties": [{ "listitembackgroundcolor": "#ffffff" }] });
    fixture.ledger.check_listed(
        CONVERSATION,
        INSTANCE,
        &listed(&[plain(READER)]),
        view,
        &fixture.findings,
    );
    fixture.found(&[]);
    fixture.ledger.check_listed(
        CONVERSATION,
        INSTANCE,
        &listed(&[]),
        view,
        &fixture.findings,
    );
    fixture.found(&[(Kind::WrongFlags, 1)]);
}
