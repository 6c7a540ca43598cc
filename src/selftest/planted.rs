//! The checker, checked: each fault that is planted is counted, and nothing else is.

mod scene;
mod telling;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use self::scene::{CONVERSATION, INSTANCE, READER, Scene};
use super::{
    findings::Kind,
    form::{Id, dashed, now, plain, read_time, time},
    history::Held,
    ledger::{Flags, Settled, View},
    rows::{self, Message, Page, Report},
};

#[test]
fn a_server_that_does_what_it_must_is_found_good() {
    let mut scene = Scene::new(200);
    for id in [1, 7, 200] {
        scene.report(id);
    }
    let truth = scene.truth();
    scene.ledger.compare(&truth, &scene.findings);
    let there: HashSet<_> = [1, 7, 200]
        .map(|id| (id, READER, "viewed".to_owned()))
        .into();
    scene
        .ledger
        .compare_reports(&truth, &there, &scene.findings);
    truth.compare(&truth, &scene.findings);
    assert!(truth.missed_by(Some(&truth)).is_empty());
    scene.found(&[]);
}

#[test]
fn a_row_that_is_lost_is_counted_by_its_absence_and_by_the_chain() {
    let mut scene = Scene::new(5);
    scene.report(2);
    let gone = scene.messages.remove(2);
    let truth = scene.truth();
    scene.ledger.compare(&truth, &scene.findings);
    scene
        .ledger
        .compare_reports(&truth, &HashSet::new(), &scene.findings);
    scene.found(&[(Kind::Lost, 2), (Kind::BrokenLinks, 1)]);
    // Someone who was given it before.
    let held = scene.given(&[gone], &[]);
    held.compare(&truth, &scene.findings);
    assert_eq!(truth.missed_by(Some(&held)).len(), 5);
    assert_eq!(scene.findings.count(Kind::Lost), 3);
}

#[test]
fn a_row_that_is_given_twice_is_counted() {
    let mut scene = Scene::new(3);
    scene.report(2);
    let mut twice = scene.messages.clone();
    twice.push(scene.messages[0].clone());
    let mut again = scene.reports.clone();
    again.push(scene.reports[0].clone());
    // Under another id, about the same message.
    again.push(json!({ "ID": dashed(99), "Type": "viewed", "Created": time(now()), "ValidUntil": scene.messages[1]["ValidUntil"], "User": plain(READER), "Station": plain(4), "MessageID": dashed(2) }));
    scene.given(&twice, &again);
    scene.found(&[(Kind::Doubled, 3)]);
}

#[test]
fn another_order_is_counted() {
    let scene = Scene::new(4);
    let truth = scene.truth();
    let mut messages = scene.messages.clone();
    messages.swap(1, 2);
    // As a v3 client is given them: no numbers, no chain.
    for row in &mut messages {
        row.as_object_mut()
            .unwrap()
            .retain(|field, _| !["User", "Station", "Seq", "Chain"].contains(&field.as_str()));
    }
    scene.given(&messages, &[]).compare(&truth, &scene.findings);
    scene.found(&[(Kind::Reordered, 1)]);
    // And against real time: the fourth was answered before the fifth was sent.
    let mut scene = Scene::new(4);
    std::thread::sleep(Duration::from_millis(2));
    scene.write(5);
    let mut truth = scene.truth();
    truth.messages.swap(3, 4);
    scene.ledger.compare(&truth, &scene.findings);
    scene.found(&[(Kind::Reordered, 1)]);
}

#[test]
fn what_was_altered_is_counted() {
    let other = |field: &str, value: Value| {
        let mut scene = Scene::new(1);
        scene.messages[0][field] = value;
        scene.truth();
        scene.findings.count(Kind::Altered)
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
    let scene = Scene::new(1);
    let mut ledger = scene.ledger;
    let answer = |created: i64| json!({ "message": { "ID": dashed(1), "Type": scene.messages[0]["Type"], "Created": time(created), "ValidUntil": scene.messages[0]["ValidUntil"] } });
    let created = read_time(scene.messages[0]["Created"].as_str().unwrap()).unwrap();
    ledger.is_answered(
        CONVERSATION,
        1,
        &answer(created),
        Instant::now(),
        &scene.findings,
    );
    assert_eq!(scene.findings.count(Kind::Altered), 0);
    ledger.is_answered(
        CONVERSATION,
        1,
        &answer(created + 1),
        Instant::now(),
        &scene.findings,
    );
    assert_eq!(scene.findings.count(Kind::Altered), 1);
}

#[test]
fn a_report_that_nobody_made_or_made_elsewhere_is_counted() {
    let mut scene = Scene::new(2);
    scene.report(1);
    scene.report(2);
    scene.reports[0]["Station"] = plain(9).into();
    scene.reports[1]["Type"] = "delivered".into();
    scene.truth();
    scene.found(&[(Kind::Altered, 2)]);
}

#[test]
fn a_gap_in_a_frame_is_counted_and_loses_the_row_for_one_who_reads_by_the_letter() {
    let mut scene = Scene::new(3);
    scene.report(1);
    scene.write(4);
    let after = |id: Id| dashed(id);
    // Message 3, of number 3, is missing between 2 and 4; the report, of number 4, is there.
    let frame = scene.frame(&[
        (true, 0, ""),
        (true, 1, &after(1)),
        (false, 0, ""),
        (true, 3, &after(3)),
    ]);
    assert_eq!(rows::gaps(&frame), 1);
    // By numbers alone: the report is missing.
    assert_eq!(
        rows::gaps(&scene.frame(&[(true, 2, &after(2)), (true, 3, &after(3))])),
        1
    );
    assert_eq!(
        rows::gaps(&scene.frame(&[
            (true, 1, &after(1)),
            (true, 2, &after(2)),
            (false, 0, ""),
            (true, 3, &after(3))
        ])),
        0
    );
    let mut letter = Held::new("by the letter", CONVERSATION, INSTANCE);
    assert!(letter.append_by_the_first(&frame, &scene.findings));
    scene.found(&[(Kind::BrokenLinks, 1)]);
    assert_eq!(scene.truth().missed_by(Some(&letter)), [3]);
    let mut each = Held::new("each", CONVERSATION, INSTANCE);
    assert_eq!(each.append_each(&frame, &scene.findings), 3);
    // A frame that does not begin where one stands, or is of another instance, is not taken.
    assert!(!each.append_by_the_first(&scene.frame(&[(true, 3, &after(3))]), &scene.findings));
    let mut old = Held::new("old", CONVERSATION, "0123456789");
    assert!(!old.append_by_the_first(&scene.frame(&[(true, 0, "")]), &scene.findings));
}

#[test]
fn a_broken_link_is_counted() {
    let mut scene = Scene::new(3);
    scene.messages[1]["Chain"] = hex::encode([0; 32]).into();
    scene.truth();
    // The one itself, and the next, which is over another one.
    scene.found(&[(Kind::BrokenLinks, 2)]);
}

#[test]
fn what_is_given_to_someone_who_was_removed_is_counted() {
    let mut scene = Scene::new(1);
    scene.ledger.members.insert(
        (CONVERSATION, READER),
        Settled {
            value: false,
            since: Some(Instant::now()),
        },
    );
    std::thread::sleep(Duration::from_millis(2));
    scene.write(2);
    let pushed = View {
        reader: READER,
        asked: None,
    };
    for row in &scene.messages {
        scene.ledger.check_message(
            CONVERSATION,
            INSTANCE,
            &Message::read(row).unwrap(),
            pushed,
            &scene.findings,
        );
    }
    // The first was written before.
    scene.found(&[(Kind::Leaked, 1)]);
    scene.ledger.check_page(
        CONVERSATION,
        INSTANCE,
        View {
            reader: READER,
            asked: Some(Instant::now()),
        },
        &scene.findings,
    );
    scene.found(&[(Kind::Leaked, 2)]);
    // Not while they are being added again.
    scene.ledger.members.insert(
        (CONVERSATION, READER),
        Settled {
            value: false,
            since: None,
        },
    );
    scene.ledger.check_page(
        CONVERSATION,
        INSTANCE,
        View {
            reader: READER,
            asked: Some(Instant::now()),
        },
        &scene.findings,
    );
    scene.found(&[(Kind::Leaked, 2)]);
}

#[test]
fn an_instance_that_was_cleared_and_is_served_is_counted() {
    let mut scene = Scene::new(1);
    scene
        .ledger
        .cleared
        .insert((CONVERSATION, INSTANCE.into()), Instant::now());
    std::thread::sleep(Duration::from_millis(2));
    let view = View {
        reader: READER,
        asked: Some(Instant::now()),
    };
    scene
        .ledger
        .check_page(CONVERSATION, INSTANCE, view, &scene.findings);
    scene
        .ledger
        .check_page(CONVERSATION, "0123456789", view, &scene.findings);
    scene.ledger.check_message(
        CONVERSATION,
        "0123456789",
        &Message::read(&scene.messages[0]).unwrap(),
        view,
        &scene.findings,
    );
    scene.found(&[(Kind::OldInstance, 2)]);
    scene.write(2);
    scene.found(&[(Kind::OldInstance, 3)]);
}

#[test]
fn flags_that_their_owner_did_not_set_are_counted() {
    let mut scene = Scene::new(0);
    let flags = Flags {
        is_muted: true,
        ..Flags::default()
    };
    scene.ledger.flags.insert(
        (CONVERSATION, READER),
        Settled {
            value: flags,
            since: Some(Instant::now()),
        },
    );
    std::thread::sleep(Duration::from_millis(2));
    let view = View {
        reader: READER,
        asked: Some(Instant::now()),
    };
    let listed = |muted: &[String]| json!({ "mutedby": muted, "favoriteby": [], "hiddenby": [], "properties": [{ "listitembackgroundcolor": "#ffffff" }] });
    scene.ledger.check_listed(
        CONVERSATION,
        INSTANCE,
        &listed(&[plain(READER)]),
        view,
        &scene.findings,
    );
    scene.found(&[]);
    scene
        .ledger
        .check_listed(CONVERSATION, INSTANCE, &listed(&[]), view, &scene.findings);
    scene.found(&[(Kind::WrongFlags, 1)]);
}

#[test]
fn a_page_that_does_not_begin_with_its_cursor_is_counted() {
    let scene = Scene::new(3);
    let mut held = scene.given(&scene.messages[..1], &[]);
    let page = Page {
        messages: scene.messages[1..]
            .iter()
            .map(|row| Message::read(row).unwrap())
            .collect(),
        ..Page::default()
    };
    held.take_page(page, &scene.findings);
    scene.found(&[(Kind::Lost, 1)]);
    assert!(Report::read(&scene.messages[0]).is_none());
}
