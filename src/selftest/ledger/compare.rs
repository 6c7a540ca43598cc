//! Compares the whole history of a conversation with what was answered OK.

use std::collections::HashSet;

use super::Ledger;
use crate::selftest::{
    findings::{Findings, Kind},
    form::{Id, dashed, plain},
    history::Held,
    sent::Sent,
};

impl Ledger {
    /// Compares the whole history of a conversation's present instance with what was answered.
    pub(in crate::selftest) fn compare(&self, truth: &Held, findings: &Findings) {
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
        // The latest send among the messages so far. A message that was answered before another one was sent has to
        // stand before it; those that overlapped in time may be in either order.
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
    pub(in crate::selftest) fn answered_reports(
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

    /// Records the reports of a conversation that were answered OK and are not among `there` (message, user, type).
    pub(in crate::selftest) fn compare_reports(
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
