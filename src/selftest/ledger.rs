//! The ledger of what clients sent and were answered: everything that the server shows is compared with it.

mod compare;
mod epochs;
mod shown;

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use parlance_client::e2ee::Kid;
use serde_json::Value;

use self::epochs::{Absence, Announced};

use super::{
    chain::Hash,
    findings::{Findings, Kind},
    form::{Id, dashed, plain, read_time},
    rows,
    sent::Sent,
};

/// Maximum difference of two readings of this machine's clock, in seconds.
pub(super) const SLACK: i64 = 2;

/// A report as it was sent.
#[derive(Debug, Clone)]
pub(super) struct Reported {
    /// The station that it was sent from.
    pub station: Id,
    /// The instance that it was sent to.
    pub instance: String,
    /// When it was first sent, in Unix seconds.
    pub begun_at: i64,
    /// When it was first answered OK.
    pub answered: Option<Instant>,
}

/// A value that only one client changes.
#[derive(Debug, Clone)]
pub(super) struct Settled<T> {
    pub value: T,
    /// When it was settled; `None` while it is being changed.
    pub since: Option<Instant>,
}

impl<T> Settled<T> {
    /// The value, if it has been the same since before that moment.
    pub(super) fn at(&self, moment: Instant) -> Option<&T> {
        self.since
            .is_some_and(|since| since < moment)
            .then_some(&self.value)
    }
}

/// A user's flags of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flags {
    pub is_muted: bool,
    pub is_favorite: bool,
    pub is_hidden: bool,
    pub color: String,
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            is_muted: false,
            is_favorite: false,
            is_hidden: false,
            color: "#ffffff".into(),
        }
    }
}

/// The reader of some rows, and when they requested them.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub reader: Id,
    /// When it was requested; `None` for a push.
    pub asked: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    // By conversation and id: an id is unique within its conversation only.
    pub sent: HashMap<(Id, Id), Sent>,
    /// Ids of messages that were answered OK, of the present instance of each conversation.
    pub answered: HashMap<Id, Vec<Id>>,
    /// Reports: conversation, message, user, type.
    pub reported: HashMap<(Id, Id, Id, &'static str), Reported>,
    /// The present instance of each conversation.
    pub instances: HashMap<Id, String>,
    /// When the clear of an instance was answered.
    pub cleared: HashMap<(Id, String), Instant>,
    /// The members who can be removed from a group, and whether they are in it.
    pub members: HashMap<(Id, Id), Settled<bool>>,
    /// Conversation and user.
    pub flags: HashMap<(Id, Id), Settled<Flags>>,
    /// Epochs that were or may have been announced, by conversation and kid.
    pub epochs: HashMap<Id, HashMap<Kid, Announced>>,
    /// Secrets that the server gave out: conversation, user, kid.
    pub given: HashSet<(Id, Id, Kid)>,
    /// Instances that were or may have been cleared. Secrets that only their messages need are
    /// deleted.
    pub clearing: HashSet<(Id, String)>,
    absences: HashMap<(Id, Id), Vec<Absence>>,
    heads: HashMap<(Id, String), (i64, Hash)>,
}

impl Ledger {
    /// Records a message as it is sent; again, if it is encrypted again.
    pub(super) fn is_sent(&mut self, sent: &Sent) {
        self.sent.insert((sent.conversation, sent.id), sent.clone());
    }

    /// Records that a message was answered OK. The answer must match what was sent, and always be the same.
    pub(super) fn is_answered(
        &mut self,
        conversation: Id,
        id: Id,
        answer: &Value,
        at: Instant,
        findings: &Findings,
    ) {
        let Some(sent) = self.sent.get_mut(&(conversation, id)) else {
            return;
        };
        let text = |field: &str| {
            answer
                .get("message")
                .and_then(|message| message.get(field))
                .and_then(Value::as_str)
        };
        let times = text("Created")
            .and_then(read_time)
            .zip(text("ValidUntil").and_then(read_time));
        let wrong = match times {
            _ if text("ID") != Some(&dashed(id)) || text("Type") != Some(sent.kind) => {
                Some("another id or type")
            }
            None => Some("no times"),
            Some((created, valid_until)) => sent.check_times(created, valid_until),
        };
        if let Some(wrong) = wrong {
            findings.add(Kind::Altered, || {
                format!(
                    "add of {} in {} was answered {wrong}: {answer}",
                    dashed(id),
                    plain(conversation)
                )
            });
        }
        // The first answer is the measure: a retry has to be answered the same.
        sent.stored = sent.stored.or(times);
        if sent.answered.is_none() {
            sent.answered = Some(at);
            // The OK may come after a clear: then the message is not due in the present instance.
            if self.instances.get(&conversation) == Some(&sent.instance) {
                self.answered.entry(conversation).or_default().push(id);
            }
        }
        // Only if it was sent after the clear was answered: before that, either may come first.
        if self
            .cleared
            .get(&(conversation, sent.instance.clone()))
            .is_some_and(|cleared| *cleared < sent.begun)
        {
            findings.add(Kind::OldInstance, || {
                format!(
                    "add of {} to a cleared instance was answered OK",
                    dashed(id)
                )
            });
        }
    }

    /// When a row was answered OK.
    pub(super) fn answered_at(&self, conversation: Id, row: &rows::Row) -> Option<Instant> {
        match row {
            rows::Row::Message(row) => self.sent.get(&(conversation, row.id))?.answered,
            rows::Row::Report(row) => {
                let kind = ["viewed", "delivered"]
                    .into_iter()
                    .find(|kind| *kind == row.kind)?;
                self.reported
                    .get(&(conversation, row.message, row.from.user, kind))?
                    .answered
            }
        }
    }

    /// Returns `true` if a member had not been removed when something was asked for; `None` when that changed meanwhile.
    pub(super) fn was_in(&self, conversation: Id, member: Id, asked: Instant) -> Option<bool> {
        match self.members.get(&(conversation, member)) {
            // Only those who are ever removed are recorded.
            None => Some(true),
            Some(is_in) => is_in.at(asked).copied(),
        }
    }
}
