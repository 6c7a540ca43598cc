//! What clients sent and what they were answered: the measure for all that the server shows.

use std::{
    collections::{HashMap, HashSet},
    time::Instant,
};

use serde_json::Value;

use super::{
    findings::{Findings, Kind},
    form::{Id, dashed, now, plain, read_time},
    history::Held,
    rows,
    sent::Sent,
};

/// Two clocks of this machine, read one after the other, may differ by so many seconds.
pub(super) const SLACK: i64 = 2;

/// A report as it was sent.
#[derive(Debug, Clone)]
pub(super) struct Reported {
    /// Where it was sent from.
    pub station: Id,
    /// In which instance.
    pub instance: String,
    /// When it was first sent, in Unix seconds.
    pub begun_at: i64,
    /// When it was first answered OK.
    pub answered: Option<Instant>,
}

/// Something that is one way or another, as its only changer left it.
#[derive(Debug, Clone)]
pub(super) struct Settled<T> {
    /// How it is.
    pub value: T,
    /// Since when; not while it is being changed.
    pub since: Option<Instant>,
}

impl<T> Settled<T> {
    /// The value, if it was the same all the time since then.
    pub(super) fn at(&self, moment: Instant) -> Option<&T> {
        self.since
            .is_some_and(|since| since < moment)
            .then_some(&self.value)
    }
}

/// How a user arranged a conversation.
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

/// Who is shown something, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub reader: Id,
    /// When it was asked for; `None` of what comes unasked.
    pub asked: Option<Instant>,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub sent: HashMap<(Id, Id), Sent>,
    /// Ids of messages that were answered OK, of the present instance of each conversation.
    pub answered: HashMap<Id, Vec<Id>>,
    /// Reports: conversation, message, user, type.
    pub reported: HashMap<(Id, Id, Id, &'static str), Reported>,
    /// The present instance of each conversation.
    pub instances: HashMap<Id, String>,
    /// When the clear of an instance was answered.
    pub cleared: HashMap<(Id, String), Instant>,
    /// Who can be removed from a group, and whether they are in it.
    pub members: HashMap<(Id, Id), Settled<bool>>,
    /// Conversation and user.
    pub flags: HashMap<(Id, Id), Settled<Flags>>,
}

impl Ledger {
    /// A message was answered OK: with what was sent, and always the same.
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
        sent.stored = sent.stored.or(times);
        if sent.answered.is_none() {
            sent.answered = Some(at);
            if self.instances.get(&conversation) == Some(&sent.instance) {
                self.answered.entry(conversation).or_default().push(id);
            }
        }
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

    /// Judges a message that someone is shown.
    pub(super) fn check_message(
        &self,
        conversation: Id,
        instance: &str,
        row: &rows::Message,
        view: View,
        findings: &Findings,
    ) {
        let says = |wrong: &str| {
            format!(
                "message {} in {}: {wrong}",
                dashed(row.id),
                plain(conversation)
            )
        };
        let Some(sent) = self.sent.get(&(conversation, row.id)) else {
            findings.add(Kind::Altered, || says("nobody sent it"));
            return;
        };
        if sent.instance != instance {
            findings.add(Kind::OldInstance, || {
                says("it was written for another instance")
            });
        }
        let wrong = if row.data != sent.data {
            Some("other Data than was sent")
        } else if row.kind != sent.kind {
            Some("another type than was sent")
        } else if row.v4.as_ref().is_some_and(|v4| v4.sender != sent.sender) {
            Some("another sender or station")
        } else {
            sent.check_times(row.created, row.valid_until)
        };
        if let Some(wrong) = wrong {
            findings.add(Kind::Altered, || says(wrong));
        }
        let is_removed = self
            .members
            .get(&(conversation, view.reader))
            .is_some_and(|member| member.at(sent.begun) == Some(&false));
        if view.asked.is_none() && is_removed {
            findings.add(Kind::Leaked, || {
                says("pushed to someone who had been removed before it was written")
            });
        }
    }

    /// Judges a report that someone is shown.
    pub(super) fn check_report(&self, conversation: Id, row: &rows::Report, findings: &Findings) {
        let kind = ["viewed", "delivered"]
            .into_iter()
            .find(|kind| *kind == row.kind)
            .unwrap_or("");
        let sent = self
            .reported
            .get(&(conversation, row.message, row.from.user, kind));
        let message = self.sent.get(&(conversation, row.message));
        let wrong = match (sent, message) {
            (None, _) => Some("nobody sent it"),
            (_, None) => Some("about a message that nobody sent"),
            (Some(sent), _) if sent.station != row.from.station => Some("another station"),
            (Some(sent), _) if !(sent.begun_at - SLACK..=now() + SLACK).contains(&row.created) => {
                Some("another time than it was sent at")
            }
            (_, Some(message))
                if message
                    .stored
                    .is_some_and(|(_, valid_until)| valid_until != row.valid_until) =>
            {
                Some("another end than its message's")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            findings.add(Kind::Altered, || {
                format!(
                    "report {} in {}: {wrong}",
                    dashed(row.id),
                    plain(conversation)
                )
            });
        }
    }

    /// Judges that a page of an instance was answered at all.
    pub(super) fn check_page(
        &self,
        conversation: Id,
        instance: &str,
        view: View,
        findings: &Findings,
    ) {
        let Some(asked) = view.asked else { return };
        if self
            .members
            .get(&(conversation, view.reader))
            .is_some_and(|member| member.at(asked) == Some(&false))
        {
            findings.add(Kind::Leaked, || {
                format!(
                    "conversation {} was served to {}",
                    plain(conversation),
                    plain(view.reader)
                )
            });
        }
        if self
            .cleared
            .get(&(conversation, instance.to_owned()))
            .is_some_and(|cleared| *cleared < asked)
        {
            findings.add(Kind::OldInstance, || {
                format!("instance {instance} of {} was served", plain(conversation))
            });
        }
    }

    /// Judges a conversation in someone's list.
    pub(super) fn check_listed(
        &self,
        conversation: Id,
        instance: &str,
        listed: &Value,
        view: View,
        findings: &Findings,
    ) {
        self.check_page(conversation, instance, view, findings);
        let (Some(asked), Some(flags)) = (view.asked, self.flags.get(&(conversation, view.reader)))
        else {
            return;
        };
        let Some(expected) = flags.at(asked) else {
            return;
        };
        let reader = plain(view.reader);
        let names = |field: &str| {
            listed
                .get(field)
                .and_then(Value::as_array)
                .is_some_and(|ids| ids.iter().any(|id| id == reader.as_str()))
        };
        let own = |field: &str| {
            listed
                .get("properties")
                .and_then(|properties| properties.get(0)?.get(field))
        };
        let shown = Flags {
            is_muted: names("mutedby"),
            is_favorite: names("favoriteby"),
            is_hidden: names("hiddenby"),
            color: own("listitembackgroundcolor")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        };
        if shown != *expected {
            findings.add(Kind::WrongFlags, || {
                format!(
                    "{} shows {reader} {shown:?}, who set {expected:?}",
                    plain(conversation)
                )
            });
        }
    }

    /// Compares the whole history of a conversation's present instance with what was answered.
    pub(super) fn compare(&self, truth: &Held, findings: &Findings) {
        let conversation = truth.conversation;
        let says = |what: &str, id: Id| {
            format!(
                "{what}: {} in conversation {}",
                dashed(id),
                plain(conversation)
            )
        };
        let messages: HashSet<_> = truth.messages.iter().copied().collect();
        let of_this = |sent: &Sent| {
            sent.conversation == conversation
                && sent.instance == truth.instance
                && sent.answered.is_some()
        };
        for sent in self
            .sent
            .values()
            .filter(|sent| of_this(sent) && !messages.contains(&sent.id))
        {
            findings.add(Kind::Lost, || says("answered OK, and not there", sent.id));
        }
        // Of what is in the history so far, the one that was sent last.
        let mut last_begun = None;
        for sent in truth
            .messages
            .iter()
            .filter_map(|id| self.sent.get(&(conversation, *id)))
        {
            if last_begun
                .is_some_and(|begun| sent.answered.is_some_and(|answered| answered < begun))
            {
                findings.add(Kind::Reordered, || {
                    says("answered before one in front of it was sent", sent.id)
                });
            }
            last_begun = last_begun.max(Some(sent.begun));
        }
    }

    /// Reports of an instance that were answered OK: message, user, type.
    pub(super) fn answered_reports(
        &self,
        conversation: Id,
        instance: &str,
    ) -> Vec<(Id, Id, String)> {
        let of_this = self
            .reported
            .iter()
            .filter(|((of, ..), sent)| *of == conversation && sent.instance == instance);
        let answered = of_this.filter(|(_, sent)| sent.answered.is_some());
        answered
            .map(|((_, message, user, kind), _)| (*message, *user, (*kind).to_owned()))
            .collect()
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

    /// Whether a member had not been removed when something was asked for. `None`: that changed meanwhile.
    pub(super) fn was_in(&self, conversation: Id, member: Id, asked: Instant) -> Option<bool> {
        match self.members.get(&(conversation, member)) {
            None => Some(true),
            Some(is_in) => is_in.at(asked).copied(),
        }
    }

    /// Judges which of their conversations someone's list has.
    pub(super) fn check_list(
        &self,
        listed: &[Id],
        theirs: impl Iterator<Item = Id>,
        view: View,
        findings: &Findings,
    ) {
        let Some(asked) = view.asked else { return };
        let all: HashSet<_> = listed.iter().copied().collect();
        findings.add_many(Kind::Doubled, listed.len() - all.len(), || {
            format!("conversations in the list of {}", plain(view.reader))
        });
        for conversation in theirs.filter(|conversation| !all.contains(conversation)) {
            if self.was_in(conversation, view.reader, asked) == Some(true) {
                findings.add(Kind::Lost, || {
                    format!(
                        "{} is not in the list of {}",
                        plain(conversation),
                        plain(view.reader)
                    )
                });
            }
        }
    }

    /// Counts reports that were answered OK and are not among these (message, user, type) of a conversation.
    pub(super) fn compare_reports(
        &self,
        truth: &Held,
        there: &HashSet<(Id, Id, String)>,
        findings: &Findings,
    ) {
        for report in self.answered_reports(truth.conversation, &truth.instance) {
            if !there.contains(&report) {
                let (message, user, kind) = report;
                findings.add(Kind::Lost, || {
                    format!("report {kind} on {} by {}", dashed(message), plain(user))
                });
            }
        }
    }
}
