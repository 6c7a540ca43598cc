//! Tests of the checker: each planted fault is counted, and nothing else is.

mod fixture;
mod group;
mod sealed;
mod shown;
mod telling;

use std::{collections::HashSet, hint, time::Instant};

use serde_json::{Value, json};

use self::fixture::{CONVERSATION, Fixture, INSTANCE, READER};
use super::{
    findings::Kind,
    form::{Id, dashed, now, plain, read_time, time},
    history::Held,
    rows::{self, Message, Page, Report},
};

/// Returns once the clock shows a later moment, so that what follows is after what came before.
fn await_later_moment() {
    let before = Instant::now();
    while Instant::now() <= before {
        hint::spin_loop();
    }
}

#[test]
fn a_correct_server_passes() {
    let mut fixture = Fixture::new(200);
    for id in [1, 7, 200] {
        fixture.report(id);
    }
    let truth = fixture.truth();
    fixture.ledger.compare(&truth, &fixture.findings);
    let there: HashSet<_> = [1, 7, 200]
        .map(|id| (id, READER, "viewed".to_owned()))
        .into();
    fixture
        .ledger
        .compare_reports(&truth, &there, &fixture.findings);
    truth.compare(&truth, &fixture.findings);
    assert!(truth.missed_by(Some(&truth)).is_empty());
    fixture.found(&[]);
}

#[test]
fn a_row_that_is_lost_is_counted_by_its_absence_and_by_the_chain() {
    let mut fixture = Fixture::new(5);
    fixture.report(2);
    let gone = fixture.messages.remove(2);
    let truth = fixture.truth();
    fixture.ledger.compare(&truth, &fixture.findings);
    fixture
        .ledger
        .compare_reports(&truth, &HashSet::new(), &fixture.findings);
    fixture.found(&[(Kind::Lost, 2), (Kind::BrokenLinks, 1)]);
    // Someone who was given it before.
    let held = fixture.given(&[gone], &[]);
    held.compare(&truth, &fixture.findings);
    assert_eq!(truth.missed_by(Some(&held)).len(), 5);
    assert_eq!(fixture.findings.count(Kind::Lost), 3);
}

#[test]
fn a_row_that_is_given_twice_is_counted() {
    let mut fixture = Fixture::new(3);
    fixture.report(2);
    let mut twice = fixture.messages.clone();
    twice.push(fixture.messages[0].clone());
    let mut again = fixture.reports.clone();
    again.push(fixture.reports[0].clone());
    // Under another id, about the same message.
    again.push(json!({ "ID": dashed(99), "Type": "viewed", "Created": time(now()), "ValidUntil": fixture.messages[1]["ValidUntil"], "User": plain(READER), "Station": plain(4), "MessageID": dashed(2) }));
    fixture.given(&twice, &again);
    fixture.found(&[(Kind::Doubled, 3)]);
}

#[test]
fn another_order_is_counted() {
    let fixture = Fixture::new(4);
    let truth = fixture.truth();
    let mut messages = fixture.messages.clone();
    messages.swap(1, 2);
    // As a v3 client is given them: no numbers, no chain.
    for row in &mut messages {
        row.as_object_mut()
            .unwrap()
            .retain(|field, _| !["User", "Station", "Seq", "Chain"].contains(&field.as_str()));
    }
    fixture
        .given(&messages, &[])
        .compare(&truth, &fixture.findings);
    fixture.found(&[(Kind::Reordered, 1)]);
    // And against real time: the fourth was answered before the fifth was sent.
    let mut fixture = Fixture::new(4);
    await_later_moment();
    fixture.write(5);
    let mut truth = fixture.truth();
    truth.messages.swap(3, 4);
    fixture.ledger.compare(&truth, &fixture.findings);
    fixture.found(&[(Kind::Reordered, 1)]);
}

#[test]
fn altered_rows_are_counted() {
    let other = |field: &str, value: Value| {
        let mut fixture = Fixture::new(1);
        fixture.messages[0][field] = value;
        fixture.truth();
        fixture.findings.count(Kind::Altered)
    };
    assert_eq!(
        other("Type", "Message".into()) + other("Type", "a_b-c".into()),
        1
    );
    for (field, value) in [
        ("Data", json!("eA==")),
        ("User", json!(plain(9))),
        ("Station", json!(plain(9))),
        ("Created", json!("2020-01-01 00:00:00")),
        ("ValidUntil", json!("2030-01-01 00:00:00")),
        ("ID", json!(dashed(77))),
    ] {
        assert_eq!(other(field, value), 1, "{field}");
    }
    // An answer that is not what was sent, and a second one that is not the first.
    let fixture = Fixture::new(1);
    let mut ledger = fixture.ledger;
    let answer = |created: i64| json!({ "message": { "ID": dashed(1), "Type": fixture.messages[0]["Type"], "Created": time(created), "ValidUntil": fixture.messages[0]["ValidUntil"] } });
    let created = read_time(fixture.messages[0]["Created"].as_str().unwrap()).unwrap();
    ledger.is_answered(
        CONVERSATION,
        1,
        &answer(created),
        Instant::now(),
        &fixture.findings,
    );
    assert_eq!(fixture.findings.count(Kind::Altered), 0);
    ledger.is_answered(
        CONVERSATION,
        1,
        &answer(created + 1),
        Instant::now(),
        &fixture.findings,
    );
    assert_eq!(fixture.findings.count(Kind::Altered), 1);
}

#[test]
fn a_report_that_nobody_made_or_made_elsewhere_is_counted() {
    let mut fixture = Fixture::new(2);
    fixture.report(1);
    fixture.report(2);
    fixture.reports[0]["Station"] = plain(9).into();
    fixture.reports[1]["Type"] = "delivered".into();
    fixture.truth();
    fixture.found(&[(Kind::Altered, 2)]);
}

#[test]
fn a_gap_in_a_frame_is_counted_and_costs_a_literal_reader_the_row() {
    let mut fixture = Fixture::new(3);
    fixture.report(1);
    fixture.write(4);
    let after = |id: Id| dashed(id);
    // Message 3, of number 3, is missing between 2 and 4; the report, of number 4, is there.
    let frame = fixture.frame(&[
        (true, 0, ""),
        (true, 1, &after(1)),
        (false, 0, ""),
        (true, 3, &after(3)),
    ]);
    assert_eq!(rows::gaps(&frame), 1);
    // By numbers alone: the report is missing.
    assert_eq!(
        rows::gaps(&fixture.frame(&[(true, 2, &after(2)), (true, 3, &after(3))])),
        1
    );
    assert_eq!(
        rows::gaps(&fixture.frame(&[
            (true, 1, &after(1)),
            (true, 2, &after(2)),
            (false, 0, ""),
            (true, 3, &after(3))
        ])),
        0
    );
    let mut letter = Held::new("by the letter", CONVERSATION, INSTANCE);
    assert!(letter.append_by_the_first(&frame, &fixture.findings));
    fixture.found(&[(Kind::BrokenLinks, 1)]);
    assert_eq!(fixture.truth().missed_by(Some(&letter)), [3]);
    let mut each = Held::new("each", CONVERSATION, INSTANCE);
    assert_eq!(each.append_each(&frame, &fixture.findings), 3);
    // A frame that does not begin where one stands, or is of another instance, is not taken.
    assert!(!each.append_by_the_first(&fixture.frame(&[(true, 3, &after(3))]), &fixture.findings));
    let mut old = Held::new("old", CONVERSATION, "0123456789");
    assert!(!old.append_by_the_first(&fixture.frame(&[(true, 0, "")]), &fixture.findings));
}

#[test]
fn a_broken_link_is_counted() {
    let mut fixture = Fixture::new(3);
    fixture.messages[1]["Chain"] = hex::encode([0; 32]).into();
    fixture.truth();
    // The one itself, and the next, which is over another one.
    fixture.found(&[(Kind::BrokenLinks, 2)]);
}

#[test]
fn a_page_that_does_not_begin_with_its_cursor_is_counted() {
    let fixture = Fixture::new(3);
    let mut held = fixture.given(&fixture.messages[..1], &[]);
    let page = Page {
        messages: fixture.messages[1..]
            .iter()
            .map(|row| Message::read(row).unwrap())
            .collect(),
        ..Page::default()
    };
    held.take_page(page, &fixture.findings);
    fixture.found(&[(Kind::Lost, 1)]);
    assert!(Report::read(&fixture.messages[0]).is_none());
}
