//! A stand-in for a server, right or wrong, for one conversation.

use std::time::Instant;

use serde_json::{Value, json};

use crate::selftest::{
    chain::{self, Hash, sha256},
    findings::{Findings, Kind},
    form::{Id, dashed, now, plain, time},
    history::Held,
    ledger::{Ledger, Reported, View},
    request::Station,
    rng::Rng,
    rows::{self, Page, Row},
    sent::Sent,
};

/// The conversation of the tests.
pub(super) const CONVERSATION: Id = 7;
pub(super) const INSTANCE: &str = "PqjfKSn7V8";
const SENDER: Station = Station {
    user: 1,
    station: 2,
};
/// The user who reads and reports.
pub(super) const READER: Id = 3;

/// A correct server, for a conversation of some messages, all in the ledger.
pub(super) struct Fixture {
    pub ledger: Ledger,
    pub findings: Findings,
    /// The messages, as the wire shows them.
    pub messages: Vec<Value>,
    /// The reports, as the wire shows them.
    pub reports: Vec<Value>,
    seq: i64,
    chain: Hash,
    rng: Rng,
}

impl Fixture {
    /// A conversation with this many messages.
    pub(super) fn new(messages: u128) -> Self {
        let mut fixture = Self {
            ledger: Ledger::default(),
            findings: Findings::default(),
            messages: vec![],
            reports: vec![],
            seq: 0,
            chain: chain::beginning(CONVERSATION, INSTANCE),
            rng: Rng::new(5),
        };
        fixture
            .ledger
            .instances
            .insert(CONVERSATION, INSTANCE.into());
        for id in 1..=messages {
            fixture.write(id);
        }
        fixture
    }

    /// Writes a message, and is answered OK.
    pub(super) fn write(&mut self, id: Id) {
        let sent = Sent::new(SENDER, CONVERSATION, INSTANCE, id, 50, &mut self.rng);
        self.ledger.sent.insert((CONVERSATION, id), sent.clone());
        let mut row: Value = serde_json::from_str(&sent.document(false)).unwrap();
        let created = if sent.created > now() + 300 {
            now()
        } else {
            sent.created
        };
        self.seq += 1;
        let data = sha256(&[row["Data"].as_str().unwrap().as_bytes()]);
        self.chain = chain::link(&self.chain, self.seq, id, &data);
        row["Created"] = time(created).into();
        row["ValidUntil"] = time(sent.valid_until.unwrap_or(created + 7 * 24 * 3600)).into();
        row["User"] = plain(SENDER.user).into();
        row["Station"] = plain(SENDER.station).into();
        row["Seq"] = self.seq.into();
        row["Chain"] = hex::encode(self.chain).into();
        self.ledger.is_answered(
            CONVERSATION,
            id,
            &json!({ "message": row }),
            Instant::now(),
            &self.findings,
        );
        self.messages.push(row);
    }

    /// A reader reports a message, and is answered OK.
    pub(super) fn report(&mut self, id: Id) {
        self.seq += 1;
        let message = self
            .messages
            .iter()
            .find(|row| row["ID"] == dashed(id))
            .unwrap();
        let reported = Reported {
            station: 4,
            instance: INSTANCE.into(),
            begun_at: now(),
            answered: Some(Instant::now()),
        };
        self.ledger
            .reported
            .insert((CONVERSATION, id, READER, "viewed"), reported);
        self.reports.push(json!({ "ID": dashed(1000 + id), "Type": "viewed", "Created": time(now()), "ValidUntil": message["ValidUntil"], "User": plain(READER), "Station": plain(4), "MessageID": dashed(id) }));
    }

    /// The rows that a reader holds after receiving these.
    pub(super) fn given(&self, messages: &[Value], reports: &[Value]) -> Held {
        let mut held = Held::new("someone", CONVERSATION, INSTANCE);
        let page = Page::read(&json!({ "messages": messages, "reports": reports })).unwrap();
        let view = View {
            reader: READER,
            asked: Some(Instant::now()),
        };
        for row in held.take_page(page, &self.findings) {
            match row {
                Row::Message(row) => {
                    self.ledger
                        .check_message(CONVERSATION, INSTANCE, &row, view, &self.findings);
                }
                Row::Report(row) => self.ledger.check_report(CONVERSATION, &row, &self.findings),
            }
        }
        held
    }

    /// The whole history.
    pub(super) fn truth(&self) -> Held {
        self.given(&self.messages, &self.reports)
    }

    /// Asserts that exactly this was found.
    #[track_caller]
    pub(super) fn found(&self, expected: &[(Kind, usize)]) {
        for kind in Kind::ALL {
            let count = expected
                .iter()
                .find(|(of, _)| *of == kind)
                .map_or(0, |(_, count)| *count);
            assert_eq!(
                self.findings.count(kind),
                count,
                "{kind:?}: {:#?}",
                self.findings
            );
        }
    }

    /// The events of a frame with these messages and reports, in this order: (is it a message, place, after).
    pub(super) fn frame(&self, events: &[(bool, usize, &str)]) -> Vec<rows::Event> {
        let events: Vec<_> = events
            .iter()
            .map(|(is_message, place, after)| {
                let (kind, row) = if *is_message { ("message", &self.messages[*place]) } else { ("report", &self.reports[*place]) };
                json!({ "conversationid": plain(CONVERSATION), "instance": INSTANCE, kind: row, "after": after })
            })
            .collect();
        rows::events(&json!({ "events": events }))
            .unwrap()
            .remove(&CONVERSATION)
            .unwrap()
    }
}
