//! The epochs that clients announced, and the messages that may be stored in each.

use std::{collections::BTreeSet, time::Instant};

use parlance_client::e2ee::Kid;
use serde_json::Value;

use super::{Ledger, View};
use crate::selftest::{
    chain::{self, Hash},
    findings::{Findings, Kind},
    form::{Id, dashed, plain},
    sent::Sent,
};

/// An epoch that a client announced.
#[derive(Debug, Clone)]
pub(in crate::selftest) struct Announced {
    pub number: u32,
    /// The users who have its secret.
    pub members: BTreeSet<Id>,
    /// When a later epoch was known to exist. From then on nothing may be stored in this one.
    pub ended: Option<Instant>,
}

/// A time in which a user was certainly not a member of a group.
#[derive(Debug, Clone, Copy)]
pub(in crate::selftest) struct Absence {
    /// When their removal was answered OK.
    pub since: Instant,
    /// When adding them again began.
    pub until: Option<Instant>,
}

impl Ledger {
    /// Records an epoch before it is announced.
    pub(in crate::selftest) fn announces(
        &mut self,
        conversation: Id,
        kid: Kid,
        number: u32,
        members: BTreeSet<Id>,
    ) {
        let announced = Announced {
            number,
            members,
            ended: None,
        };
        self.epochs
            .entry(conversation)
            .or_default()
            .insert(kid, announced);
    }

    /// Records that an epoch of this number existed at a moment: all before it have ended.
    pub(in crate::selftest) fn epoch_was_shown(
        &mut self,
        conversation: Id,
        number: u32,
        at: Instant,
    ) {
        for epoch in self.epochs.entry(conversation).or_default().values_mut() {
            if epoch.number < number {
                epoch.ended.get_or_insert(at);
            }
        }
    }

    /// Returns `true` if a reader has to have the secret of a message: they take part in its epoch,
    /// and have done so ever since it was sent.
    pub(in crate::selftest) fn may_open(&self, sent: &Sent, reader: Id, kid: Kid) -> bool {
        let epochs = self.epochs.get(&sent.conversation);
        let is_member = epochs
            .and_then(|epochs| epochs.get(&kid))
            .is_some_and(|epoch| epoch.members.contains(&reader));
        let stayed = match self.members.get(&(sent.conversation, reader)) {
            None => true,
            Some(member) => member.at(sent.begun) == Some(&true),
        };
        let is_cleared = self
            .clearing
            .contains(&(sent.conversation, sent.instance.clone()));
        is_member && stayed && !is_cleared
    }

    /// Checks the epoch in a v4 client's list: it must not have ended before the list was
    /// requested.
    pub(in crate::selftest) fn check_listed_epoch(
        &self,
        conversation: Id,
        listed: &Value,
        view: View,
        findings: &Findings,
    ) {
        let (Some(asked), Some(number)) = (view.asked, listed.get("epoch").and_then(Value::as_u64))
        else {
            return;
        };
        let epochs = self.epochs.get(&conversation);
        let had_ended = epochs.is_some_and(|epochs| {
            epochs.values().any(|epoch| {
                u64::from(epoch.number) == number && epoch.ended.is_some_and(|ended| ended < asked)
            })
        });
        if had_ended {
            findings.add(Kind::WrongEpoch, || {
                format!(
                    "a list shows epoch {number} of {}, which had ended",
                    plain(conversation)
                )
            });
        }
    }

    /// Records the newest row that was seen of a conversation.
    pub(in crate::selftest) fn saw(
        &mut self,
        conversation: Id,
        instance: &str,
        seq: i64,
        chain: Hash,
    ) {
        let head = self
            .heads
            .entry((conversation, instance.to_owned()))
            .or_insert((seq, chain));
        if head.0 < seq {
            *head = (seq, chain);
        }
    }

    /// The newest message that was seen, which clients name in their own.
    pub(in crate::selftest) fn head(&self, conversation: Id, instance: &str) -> (i64, Hash) {
        self.heads
            .get(&(conversation, instance.to_owned()))
            .copied()
            .unwrap_or_else(|| (0, chain::beginning(conversation, instance)))
    }

    /// Records that a member is not in a group from now on.
    pub(in crate::selftest) fn is_out(&mut self, conversation: Id, member: Id, at: Instant) {
        let absences = self.absences.entry((conversation, member)).or_default();
        absences.push(Absence {
            since: at,
            until: None,
        });
    }

    /// Records that a member is about to be added again.
    pub(in crate::selftest) fn comes_back(&mut self, conversation: Id, member: Id, at: Instant) {
        let absences = self.absences.get_mut(&(conversation, member));
        if let Some(absence) = absences.and_then(|absences| absences.last_mut()) {
            absence.until.get_or_insert(at);
        }
    }

    /// Checks the epoch in which a message was stored. `newest` is the highest epoch among the
    /// messages before it.
    pub(in crate::selftest) fn check_epoch(
        &self,
        sent: &Sent,
        kid: Kid,
        newest: u32,
        findings: &Findings,
    ) {
        let (conversation, says) = (sent.conversation, |wrong: &str| {
            format!(
                "message {} in {}: {wrong}",
                dashed(sent.id),
                plain(sent.conversation)
            )
        });
        let epochs = self.epochs.get(&conversation);
        let Some(epoch) = epochs.and_then(|epochs| epochs.get(&kid)) else {
            findings.add(Kind::WrongEpoch, || says("nobody announced its epoch"));
            return;
        };
        let Some(sealed) = &sent.sealed else { return };
        if epoch.number < newest || epoch.ended.is_some_and(|ended| ended < sealed.at) {
            findings.add(Kind::DeadKey, || {
                says(&format!(
                    "epoch {} had ended before it was sent",
                    epoch.number
                ))
            });
        }
        for ((_, member), absences) in self
            .absences
            .iter()
            .filter(|((of, _), _)| *of == conversation)
        {
            let was_out = absences.iter().any(|absence| {
                absence.since < sealed.at
                    && absence
                        .until
                        .is_none_or(|until| sent.answered.is_some_and(|answered| answered < until))
            });
            let has_key = epoch.members.contains(member)
                || self.given.contains(&(conversation, *member, kid));
            if was_out && has_key {
                findings.add(Kind::ReadableByRemoved, || {
                    says(&format!(
                        "{} was removed before it was sent, and has its secret",
                        plain(*member)
                    ))
                });
            }
        }
    }
}
