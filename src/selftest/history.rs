//! What a client holds of a conversation: its rows in order, each once, and the chain over them.

mod opening;

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Instant,
};

use parlance_client::e2ee::Reading;

pub(super) use self::opening::Reader;

use super::{
    chain::{self, Hash},
    findings::{Findings, Kind},
    form::{Id, dashed, plain, time},
    rows::{Event, Message, Page, Report, Row},
};

/// The rows of one instance of a conversation.
#[derive(Debug)]
pub(super) struct Held {
    /// The holder's name, for findings.
    pub holder: String,
    pub conversation: Id,
    pub instance: String,
    /// When the holder began to gather them.
    pub since: Instant,
    /// Messages, in their order.
    pub messages: Vec<Id>,
    /// Reports, in their order.
    pub reports: Vec<Id>,
    /// The chain up to the newest message; v4 clients only.
    pub chain: Option<Hash>,
    seen: HashSet<Id>,
    reported: HashSet<(Id, Id, String)>,
    seq: i64,
    dates: [Option<i64>; 2],
    /// The chain up to each message.
    chains: BTreeMap<i64, Hash>,
    /// Encrypted messages that are not opened yet, in order.
    unread: VecDeque<Message>,
    /// How far each station's messages have been read.
    reading: Reading,
    /// Whether all encrypted messages since the first could be opened.
    has_all: bool,
    /// The highest epoch among the opened messages.
    newest_epoch: u32,
}

impl Held {
    pub(super) fn new(holder: &str, conversation: Id, instance: &str) -> Self {
        Self {
            holder: holder.to_owned(),
            conversation,
            instance: instance.to_owned(),
            since: Instant::now(),
            messages: vec![],
            reports: vec![],
            chain: Some(chain::beginning(conversation, instance)),
            seen: HashSet::new(),
            reported: HashSet::new(),
            seq: 0,
            dates: [None; 2],
            chains: BTreeMap::new(),
            unread: VecDeque::new(),
            reading: Reading::default(),
            has_all: true,
            newest_epoch: 0,
        }
    }

    /// Returns `true` if there are encrypted messages that are not opened yet.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// The cursor of a `download` that goes on from what is held.
    pub(super) fn cursor(&self) -> Vec<(&'static str, String)> {
        let mut cursor = vec![];
        if let (Some(id), Some(date)) = (self.messages.last(), self.dates[0]) {
            cursor.extend([
                ("firstmessageid", dashed(*id)),
                ("firstmessagedate", time(date)),
            ]);
        }
        if let (Some(id), Some(date)) = (self.reports.last(), self.dates[1]) {
            cursor.extend([
                ("firstreportid", dashed(*id)),
                ("firstreportdate", time(date)),
            ]);
        }
        cursor
    }

    /// Takes a page that continues from what is held, and begins with its last row. Returns the new rows.
    pub(super) fn take_page(&mut self, page: Page, findings: &Findings) -> Vec<Row> {
        let mut new = vec![];
        let mut messages = page.messages.into_iter().peekable();
        // The cursor's row is promised to be included: if it is not, it was lost, or the cursor led elsewhere.
        if let Some(newest) = self.messages.last().copied()
            && messages.next_if(|row| row.id == newest).is_none()
        {
            findings.add(Kind::Lost, || {
                self.says("a page does not begin with its cursor's message", newest)
            });
        }
        let mut reports = page.reports.into_iter().peekable();
        if let Some(newest) = self.reports.last().copied()
            && reports.next_if(|row| row.id == newest).is_none()
        {
            findings.add(Kind::Lost, || {
                self.says("a page does not begin with its cursor's report", newest)
            });
        }
        for row in messages {
            self.add_message(&row, findings);
            new.push(Row::Message(row));
        }
        for row in reports {
            self.add_report(&row, findings);
            new.push(Row::Report(row));
        }
        new
    }

    /// Appends a frame's events of this conversation by the letter of docs/api.md: if the first event of each kind
    /// follows the newest row of that kind, all are taken. Returns `true` when they were; otherwise the conversation
    /// has to be downloaded.
    pub(super) fn append_by_the_first(&mut self, events: &[Event], findings: &Findings) -> bool {
        let first_message = events
            .iter()
            .find(|event| matches!(event.row, Row::Message(_)));
        let first_report = events
            .iter()
            .find(|event| matches!(event.row, Row::Report(_)));
        let joins = [first_message, first_report]
            .into_iter()
            .flatten()
            .all(|event| self.is_followed_by(event));
        if joins {
            for event in events {
                self.add(&event.row, findings);
            }
        }
        joins
    }

    /// Appends events as long as each follows the newest row of its kind. Returns how many it took.
    pub(super) fn append_each(&mut self, events: &[Event], findings: &Findings) -> usize {
        for (taken, event) in events.iter().enumerate() {
            if !self.is_followed_by(event) {
                return taken;
            }
            self.add(&event.row, findings);
        }
        events.len()
    }

    fn is_followed_by(&self, event: &Event) -> bool {
        let newest = match event.row {
            Row::Message(_) => self.messages.last(),
            Row::Report(_) => self.reports.last(),
        };
        // Another instance never joins, though after a clear both may be empty.
        event.instance == self.instance && event.after.as_ref() == newest
    }

    fn add(&mut self, row: &Row, findings: &Findings) {
        match row {
            Row::Message(row) => self.add_message(row, findings),
            Row::Report(row) => self.add_report(row, findings),
        }
    }

    fn add_message(&mut self, row: &Message, findings: &Findings) {
        if !self.seen.insert(row.id) {
            findings.add(Kind::Doubled, || self.says("given twice", row.id));
            return;
        }
        if let Some(v4) = &row.v4 {
            if v4.seq <= self.seq {
                findings.add(Kind::Reordered, || {
                    self.says("its number does not grow", row.id)
                });
            }
            let linked = self
                .chain
                .as_ref()
                .map(|chain| chain::link(chain, v4.seq, row.id, &row.data));
            if linked != Some(v4.chain) {
                findings.add(Kind::BrokenLinks, || {
                    self.says("its chain is not over what was given before", row.id)
                });
            }
            // From what was given, not from what was computed: one broken link counts once, and not for each message
            // after it.
            (self.seq, self.chain) = (v4.seq, Some(v4.chain));
            self.chains.insert(v4.seq, v4.chain);
            if row.sealed.is_some() {
                self.unread.push_back(row.clone());
            }
        }
        self.dates[0] = Some(row.created);
        self.messages.push(row.id);
    }

    fn add_report(&mut self, row: &Report, findings: &Findings) {
        // Under another id it would still be the same report: a user reports a message once by each type.
        let is_new = self
            .reported
            .insert((row.message, row.from.user, row.kind.clone()));
        if !self.seen.insert(row.id) {
            findings.add(Kind::Doubled, || self.says("report given twice", row.id));
            return;
        }
        if !is_new {
            findings.add(Kind::Doubled, || {
                self.says(
                    "a second report by the same user about the same message",
                    row.id,
                )
            });
        }
        self.dates[1] = Some(row.created);
        self.reports.push(row.id);
    }

    fn says(&self, what: &str, id: Id) -> String {
        format!(
            "{what}: {} in conversation {}, instance {}, held by {}",
            dashed(id),
            plain(self.conversation),
            self.instance,
            self.holder
        )
    }

    /// Compares what was held with the whole history: every row must be in it, in the same order.
    pub(super) fn compare(&self, truth: &Self, findings: &Findings) {
        for (held, truth) in [
            (&self.messages, &truth.messages),
            (&self.reports, &truth.reports),
        ] {
            let places: std::collections::HashMap<_, _> = truth
                .iter()
                .enumerate()
                .map(|(place, id)| (*id, place))
                .collect();
            let mut newest = None;
            for id in held {
                let Some(place) = places.get(id) else {
                    findings.add(Kind::Lost, || {
                        self.says("given once, and not in the history", *id)
                    });
                    continue;
                };
                if newest.is_some_and(|newest| newest > *place) {
                    findings.add(Kind::Reordered, || {
                        self.says("in another place than in the history", *id)
                    });
                }
                // From the highest place on: one misplaced row counts once, and not all that follow it.
                newest = newest.max(Some(*place));
            }
        }
    }

    /// The rows of this history that a reader does not hold: all, if they hold another instance or nothing.
    pub(super) fn missed_by(&self, held: Option<&Self>) -> Vec<Id> {
        let held = held.filter(|held| held.instance == self.instance);
        let all = self.messages.iter().chain(&self.reports).copied();
        all.filter(|id| held.is_none_or(|held| !held.seen.contains(id)))
            .collect()
    }
}
