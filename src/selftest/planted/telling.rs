//! Planted faults: rows that are notified too late or never, wrong refusals, and incomplete lists.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    await_later_moment,
    fixture::{CONVERSATION, Fixture, READER},
};
use crate::selftest::{
    channel::Channel,
    disturbances::Disturbances,
    findings::{Findings, Kind},
    history::Held,
    judge,
    latency::Latencies,
    ledger::{Settled, View},
    request::Refusal,
};

#[test]
fn late_notifications_in_undisturbed_time_are_counted_however_often_it_was_disturbed() {
    let zero = Instant::now() + Duration::from_hours(1);
    let at = |seconds: u64| zero + Duration::from_secs(seconds);
    let mut disturbances = Disturbances::default();
    // Of each ten seconds, seven are undisturbed.
    for begun in (10..60).step_by(10) {
        disturbances.begin(at(begun));
        disturbances.end(at(begun + 3));
    }
    let (findings, mut latencies, bound) = (
        Findings::default(),
        Latencies::default(),
        Duration::from_secs(20),
    );
    let mut told = |answered: u64, held: u64| {
        latencies.add(
            Channel::Each,
            disturbances.wait(at(answered), at(held)),
            bound,
            &findings,
            || "a row".into(),
        );
        findings.count(Kind::Late)
    };
    // Of 25 seconds 19, and of 27 seconds 21, but never more than seven on end.
    assert_eq!(told(13, 38), 0);
    assert_eq!(told(13, 40), 1);
    assert_eq!(told(60, 79), 1);
    assert_eq!(told(60, 81), 2);
}

#[test]
fn missing_notifications_are_counted_even_if_the_station_holds_an_old_instance_or_nothing() {
    let mut fixture = Fixture::new(3);
    fixture.report(2);
    let truth = fixture.truth();
    let count = |held: Option<&Held>| {
        let findings = Findings::default();
        judge::count_missed(&truth, held, &findings, |_| "someone".into());
        findings.count(Kind::UnderNotified)
    };
    assert_eq!(count(Some(&truth)), 0);
    assert_eq!(count(Some(&fixture.given(&fixture.messages[..2], &[]))), 2);
    assert_eq!(
        count(Some(&Held::new("old", CONVERSATION, "0123456789"))),
        4
    );
    assert_eq!(count(None), 4);
}

#[test]
fn a_refusal_is_counted_unless_it_says_to_try_again() {
    let findings = Findings::default();
    let refusal = |code: Option<&str>| Refusal {
        code: code.map(str::to_owned),
        body: Value::Null,
    };
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
    let mut fixture = Fixture::new(0);
    let view = View {
        reader: READER,
        asked: Some(Instant::now()),
    };
    fixture.ledger.check_list(
        &[CONVERSATION],
        [CONVERSATION].into_iter(),
        view,
        &fixture.findings,
    );
    fixture.found(&[]);
    fixture
        .ledger
        .check_list(&[8, 8], [CONVERSATION].into_iter(), view, &fixture.findings);
    fixture.found(&[(Kind::Lost, 1), (Kind::Doubled, 1)]);
    // Not of one who was removed, or is just being.
    for since in [None, Some(Instant::now())] {
        fixture.ledger.members.insert(
            (CONVERSATION, READER),
            Settled {
                value: false,
                since,
            },
        );
        await_later_moment();
        let view = View {
            reader: READER,
            asked: Some(Instant::now()),
        };
        fixture
            .ledger
            .check_list(&[], [CONVERSATION].into_iter(), view, &fixture.findings);
    }
    fixture.found(&[(Kind::Lost, 1), (Kind::Doubled, 1)]);
}
