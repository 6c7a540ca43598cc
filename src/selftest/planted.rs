//! The checker, checked: each fault that is planted is counted, and nothing else is.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    chain::{self, Hash, sha256},
    dice::Dice,
    disturbances::Disturbances,
    findings::{Findings, Kind},
    form::{Id, dashed, now, plain, read_time, time},
    history::Held,
    latency::Latencies,
    ledger::{Flags, Ledger, Reported, Settled, View},
    rows::{self, Message, Page, Report, Row},
    sent::Sent,
    verdict,
    way::Way,
    wire::{Refusal, Station},
};

const CONVERSATION: Id = 7;
const INSTANCE: &str = "PqjfKSn7V8";
const SENDER: Station = Station { user: 1, station: 2 };
const READER: Id = 3;

/// A server that does what it must, for a conversation of some messages; each is in the book.
struct Scene {
    ledger: Ledger,
    findings: Findings,
    messages: Vec<Value>,
    reports: Vec<Value>,
    seq: i64,
    chain: Hash,
    dice: Dice,
}

impl Scene {
    fn new(messages: u128) -> Self {
        let mut scene = Self {
            ledger: Ledger::default(),
            findings: Findings::default(),
            messages: vec![],
            reports: vec![],
            seq: 0,
            chain: chain::beginning(CONVERSATION, INSTANCE),
            dice: Dice::new(5),
        };
        scene.ledger.instances.insert(CONVERSATION, INSTANCE.into());
        for id in 1..=messages {
            scene.write(id);
        }
        scene
    }

    /// Writes a message, and is answered OK.
    fn write(&mut self, id: Id) {
        let sent = Sent::new(SENDER, CONVERSATION, INSTANCE, id, 50, &mut self.dice);
        self.ledger.sent.insert((CONVERSATION, id), sent.clone());
        let mut row: Value = serde_json::from_str(&sent.document(false)).unwrap();
        let created = if sent.created > now() + 300 { now() } else { sent.created };
        self.seq += 1;
        let data = sha256(&[row["Data"].as_str().unwrap().as_bytes()]);
        self.chain = chain::link(&self.chain, self.seq, id, &data);
        row["Created"] = time(created).into();
        row["ValidUntil"] = time(sent.valid_until.unwrap_or(created + 7 * 24 * 3600)).into();
        row["User"] = plain(SENDER.user).into();
        row["Station"] = plain(SENDER.station).into();
        row["Seq"] = self.seq.into();
        row["Chain"] = hex::encode(self.chain).into();
        self.ledger.is_answered(CONVERSATION, id, &json!({ "message": row }), Instant::now(), &self.findings);
        self.messages.push(row);
    }

    /// A reader reports a message, and is answered OK.
    fn report(&mut self, id: Id) {
        self.seq += 1;
        let message = self.messages.iter().find(|row| row["ID"] == dashed(id)).unwrap();
        let reported = Reported { station: 4, instance: INSTANCE.into(), begun_at: now(), answered: Some(Instant::now()) };
        self.ledger.reported.insert((CONVERSATION, id, READER, "viewed"), reported);
        self.reports.push(json!({ "ID": dashed(1000 + id), "Type": "viewed", "Created": time(now()), "ValidUntil": message["ValidUntil"], "User": plain(READER), "Station": plain(4), "MessageID": dashed(id) }));
    }

    /// What someone holds who is given this.
    fn given(&self, messages: &[Value], reports: &[Value]) -> Held {
        let mut held = Held::new("someone", CONVERSATION, INSTANCE);
        let page = Page::read(&json!({ "messages": messages, "reports": reports })).unwrap();
        let view = View { reader: READER, asked: Some(Instant::now()) };
        for row in held.take_page(page, &self.findings) {
            match row {
                Row::Message(row) => self.ledger.check_message(CONVERSATION, INSTANCE, &row, view, &self.findings),
                Row::Report(row) => self.ledger.check_report(CONVERSATION, &row, &self.findings),
            }
        }
        held
    }

    fn truth(&self) -> Held {
        self.given(&self.messages, &self.reports)
    }

    /// Only this was found, so many times.
    #[track_caller]
    fn found(&self, expected: &[(Kind, usize)]) {
        for kind in Kind::ALL {
            let count = expected.iter().find(|(of, _)| *of == kind).map_or(0, |(_, count)| *count);
            assert_eq!(self.findings.count(kind), count, "{kind:?}: {:#?}", self.findings);
        }
    }

    /// The events of a frame with these messages and reports, in this order: (is it a message, place, after).
    fn frame(&self, events: &[(bool, usize, &str)]) -> Vec<rows::Event> {
        let events: Vec<_> = events
            .iter()
            .map(|(is_message, place, after)| {
                let (kind, row) = if *is_message { ("message", &self.messages[*place]) } else { ("report", &self.reports[*place]) };
                json!({ "conversationid": plain(CONVERSATION), "instance": INSTANCE, kind: row, "after": after })
            })
            .collect();
        rows::events(&json!({ "events": events })).unwrap().remove(&CONVERSATION).unwrap()
    }
}

#[test]
fn a_server_that_does_what_it_must_is_found_good() {
    let mut scene = Scene::new(200);
    for id in [1, 7, 200] {
        scene.report(id);
    }
    let truth = scene.truth();
    scene.ledger.compare(&truth, &scene.findings);
    let there: HashSet<_> = [1, 7, 200].map(|id| (id, READER, "viewed".to_owned())).into();
    scene.ledger.compare_reports(&truth, &there, &scene.findings);
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
    scene.ledger.compare_reports(&truth, &HashSet::new(), &scene.findings);
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
        row.as_object_mut().unwrap().retain(|field, _| !["User", "Station", "Seq", "Chain"].contains(&field.as_str()));
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
    assert_eq!(other("Type", "Message".into()) + other("Type", "a_b-c".into()), 1);
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
    ledger.is_answered(CONVERSATION, 1, &answer(created), Instant::now(), &scene.findings);
    assert_eq!(scene.findings.count(Kind::Altered), 0);
    ledger.is_answered(CONVERSATION, 1, &answer(created + 1), Instant::now(), &scene.findings);
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
    let frame = scene.frame(&[(true, 0, ""), (true, 1, &after(1)), (false, 0, ""), (true, 3, &after(3))]);
    assert_eq!(rows::gaps(&frame), 1);
    // By numbers alone: the report is missing.
    assert_eq!(rows::gaps(&scene.frame(&[(true, 2, &after(2)), (true, 3, &after(3))])), 1);
    assert_eq!(rows::gaps(&scene.frame(&[(true, 1, &after(1)), (true, 2, &after(2)), (false, 0, ""), (true, 3, &after(3))])), 0);
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
    scene.ledger.members.insert((CONVERSATION, READER), Settled { value: false, since: Some(Instant::now()) });
    std::thread::sleep(Duration::from_millis(2));
    scene.write(2);
    let pushed = View { reader: READER, asked: None };
    for row in &scene.messages {
        scene.ledger.check_message(CONVERSATION, INSTANCE, &Message::read(row).unwrap(), pushed, &scene.findings);
    }
    // The first was written before.
    scene.found(&[(Kind::Leaked, 1)]);
    scene.ledger.check_page(CONVERSATION, INSTANCE, View { reader: READER, asked: Some(Instant::now()) }, &scene.findings);
    scene.found(&[(Kind::Leaked, 2)]);
    // Not while they are being added again.
    scene.ledger.members.insert((CONVERSATION, READER), Settled { value: false, since: None });
    scene.ledger.check_page(CONVERSATION, INSTANCE, View { reader: READER, asked: Some(Instant::now()) }, &scene.findings);
    scene.found(&[(Kind::Leaked, 2)]);
}

#[test]
fn an_instance_that_was_cleared_and_is_served_is_counted() {
    let mut scene = Scene::new(1);
    scene.ledger.cleared.insert((CONVERSATION, INSTANCE.into()), Instant::now());
    std::thread::sleep(Duration::from_millis(2));
    let view = View { reader: READER, asked: Some(Instant::now()) };
    scene.ledger.check_page(CONVERSATION, INSTANCE, view, &scene.findings);
    scene.ledger.check_page(CONVERSATION, "0123456789", view, &scene.findings);
    scene.ledger.check_message(CONVERSATION, "0123456789", &Message::read(&scene.messages[0]).unwrap(), view, &scene.findings);
    scene.found(&[(Kind::OldInstance, 2)]);
    scene.write(2);
    scene.found(&[(Kind::OldInstance, 3)]);
}

#[test]
fn flags_that_their_owner_did_not_set_are_counted() {
    let mut scene = Scene::new(0);
    let flags = Flags { is_muted: true, ..Flags::default() };
    scene.ledger.flags.insert((CONVERSATION, READER), Settled { value: flags, since: Some(Instant::now()) });
    std::thread::sleep(Duration::from_millis(2));
    let view = View { reader: READER, asked: Some(Instant::now()) };
    let listed = |muted: &[String]| json!({ "mutedby": muted, "favoriteby": [], "hiddenby": [], "properties": [{ "listitembackgroundcolor": "#ffffff" }] });
    scene.ledger.check_listed(CONVERSATION, INSTANCE, &listed(&[plain(READER)]), view, &scene.findings);
    scene.found(&[]);
    scene.ledger.check_listed(CONVERSATION, INSTANCE, &listed(&[]), view, &scene.findings);
    scene.found(&[(Kind::WrongFlags, 1)]);
}

#[test]
fn a_page_that_does_not_begin_with_its_cursor_is_counted() {
    let scene = Scene::new(3);
    let mut held = scene.given(&scene.messages[..1], &[]);
    let page = Page { messages: scene.messages[1..].iter().map(|row| Message::read(row).unwrap()).collect(), ..Page::default() };
    held.take_page(page, &scene.findings);
    scene.found(&[(Kind::Lost, 1)]);
    assert!(Report::read(&scene.messages[0]).is_none());
}

#[test]
fn what_is_told_late_in_undisturbed_time_is_counted_however_often_it_was_disturbed() {
    let zero = Instant::now() + Duration::from_hours(1);
    let at = |seconds: u64| zero + Duration::from_secs(seconds);
    let mut disturbances = Disturbances::default();
    // Of each ten seconds, seven are undisturbed.
    for begun in (10..60).step_by(10) {
        disturbances.begin(at(begun));
        disturbances.end(at(begun + 3));
    }
    let (findings, mut latencies, bound) = (Findings::default(), Latencies::default(), Duration::from_secs(20));
    let mut told = |answered: u64, held: u64| {
        latencies.add(Way::Each, disturbances.wait(at(answered), at(held)), bound, &findings, || "a row".into());
        findings.count(Kind::Late)
    };
    // Of 25 seconds 19, and of 27 seconds 21, but never more than seven on end.
    assert_eq!(told(13, 38), 0);
    assert_eq!(told(13, 40), 1);
    assert_eq!(told(60, 79), 1);
    assert_eq!(told(60, 81), 2);
}

#[test]
fn what_someone_was_never_told_is_counted_also_if_they_hold_an_old_instance_or_nothing() {
    let mut scene = Scene::new(3);
    scene.report(2);
    let truth = scene.truth();
    let count = |held: Option<&Held>| {
        let findings = Findings::default();
        verdict::count_missed(&truth, held, &findings, |_| "someone".into());
        findings.count(Kind::UnderNotified)
    };
    assert_eq!(count(Some(&truth)), 0);
    assert_eq!(count(Some(&scene.given(&scene.messages[..2], &[]))), 2);
    assert_eq!(count(Some(&Held::new("old", CONVERSATION, "0123456789"))), 4);
    assert_eq!(count(None), 4);
}

#[test]
fn a_refusal_is_counted_unless_it_says_to_try_again() {
    let findings = Findings::default();
    let refusal = |code: Option<&str>| Refusal { code: code.map(str::to_owned), body: Value::Null };
    for code in [None, Some("unavailable"), Some("rate_limited"), Some("503")] {
        findings.add_refusal("a request", &refusal(code));
    }
    assert_eq!(findings.count(Kind::Refused), 0);
    findings.add_refusal("a request", &refusal(Some("not_allowed")));
    findings.add_refusal("a request", &refusal(Some("500")));
    assert_eq!(findings.count(Kind::Refused), 2);
    assert!(!findings.is_empty() && findings.so_far().contains("not_allowed"));
}

#[test]
fn a_conversation_that_is_not_in_a_members_list_or_twice_is_counted() {
    let mut scene = Scene::new(0);
    let view = View { reader: READER, asked: Some(Instant::now()) };
    scene.ledger.check_list(&[CONVERSATION], [CONVERSATION].into_iter(), view, &scene.findings);
    scene.found(&[]);
    scene.ledger.check_list(&[8, 8], [CONVERSATION].into_iter(), view, &scene.findings);
    scene.found(&[(Kind::Lost, 1), (Kind::Doubled, 1)]);
    // Not of one who was removed, or is just being.
    for since in [None, Some(Instant::now())] {
        scene.ledger.members.insert((CONVERSATION, READER), Settled { value: false, since });
        std::thread::sleep(Duration::from_millis(2));
        let view = View { reader: READER, asked: Some(Instant::now()) };
        scene.ledger.check_list(&[], [CONVERSATION].into_iter(), view, &scene.findings);
    }
    scene.found(&[(Kind::Lost, 1), (Kind::Doubled, 1)]);
}
