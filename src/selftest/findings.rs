//! Findings: broken promises, how often, and a few examples.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;

use super::request::Refusal;

/// Maximum examples of each kind that are kept.
const EXAMPLES: usize = 5;

/// A promise that was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// Answered OK or shown to a reader, and not there.
    Lost,
    /// There twice, or given twice.
    Doubled,
    /// In another order than it was answered or given to others in.
    Reordered,
    /// Content, sender or times differ from what was sent and first answered; or nobody sent it.
    Altered,
    /// A reader was never notified.
    UnderNotified,
    /// A reader was notified later than the bound allows.
    Late,
    /// Frames whose events do not follow one another.
    Gaps,
    /// Given to a member who had been removed.
    Leaked,
    /// Served from an instance that had been cleared.
    OldInstance,
    /// Flags that are not what their owner set.
    WrongFlags,
    /// Links of a chain that do not hold.
    BrokenLinks,
    /// Wrongly refused.
    Refused,
    /// Not answered for a long time, although nothing was disturbed.
    Unanswered,
    /// A node ended without being asked to.
    Crashed,
    /// Rules of `parlance doctor` that the tables do not keep.
    RulesNotKept,
    /// A message whose secret a participant did not get, or that the secret does not open.
    Undecryptable,
    /// Epochs that do not follow each other as announced, or a message of another epoch than it
    /// names.
    WrongEpoch,
    /// A message or an announcement without a valid signature of its author.
    BadSignature,
    /// A message whose writer saw other messages before it.
    WrongHead,
    /// A message that was stored in an epoch that had ended before it was sent.
    DeadKey,
    /// A message whose secret is known to a member who was removed before it was written.
    ReadableByRemoved,
}

impl Kind {
    /// All of them.
    pub(super) const ALL: [Self; 21] = [
        Self::Lost,
        Self::Doubled,
        Self::Reordered,
        Self::Altered,
        Self::UnderNotified,
        Self::Late,
        Self::Gaps,
        Self::Leaked,
        Self::OldInstance,
        Self::WrongFlags,
        Self::BrokenLinks,
        Self::Refused,
        Self::Unanswered,
        Self::Crashed,
        Self::RulesNotKept,
        Self::Undecryptable,
        Self::WrongEpoch,
        Self::BadSignature,
        Self::WrongHead,
        Self::DeadKey,
        Self::ReadableByRemoved,
    ];

    /// Its name in the report.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Doubled => "doubled",
            Self::Reordered => "reordered",
            Self::Altered => "altered",
            Self::UnderNotified => "never notified",
            Self::Late => "notified late",
            Self::Gaps => "gaps in frames",
            Self::Leaked => "leaked to removed",
            Self::OldInstance => "old instance served",
            Self::WrongFlags => "wrong flags",
            Self::BrokenLinks => "broken links",
            Self::Refused => "wrongly refused",
            Self::Unanswered => "not answered",
            Self::Crashed => "nodes that crashed",
            Self::RulesNotKept => "doctor's findings",
            Self::Undecryptable => "not decryptable",
            Self::WrongEpoch => "wrong epochs",
            Self::BadSignature => "bad signatures",
            Self::WrongHead => "wrong heads",
            Self::DeadKey => "under dead keys",
            Self::ReadableByRemoved => "readable by removed",
        }
    }
}

/// The findings of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Found {
    pub count: usize,
    /// Some of them.
    pub examples: Vec<String>,
}

/// All that was found.
#[derive(Debug, Default)]
pub(super) struct Findings(Mutex<BTreeMap<Kind, Found>>);

impl Findings {
    pub(super) fn add(&self, kind: Kind, example: impl FnOnce() -> String) {
        self.add_many(kind, 1, example);
    }

    pub(super) fn add_many(&self, kind: Kind, count: usize, example: impl FnOnce() -> String) {
        let mut all = self.locked();
        let found = all.entry(kind).or_default();
        // A broken server produces thousands of the same kind: a few show what is wrong.
        if count > 0 && found.examples.len() < EXAMPLES {
            found.examples.push(example());
        }
        // Counted beyond the examples: the number tells a single slip from a broken promise.
        found.count += count;
    }

    /// Records a refusal that is not temporary. A request without an answer is recorded by the caller that waited for
    /// it.
    pub(super) fn add_refusal(&self, what: &str, refusal: &Refusal) {
        // Under faults, 503 is a promised answer, and a client has to repeat the request.
        if refusal.code.is_some() && !refusal.is_temporary() {
            self.add(Kind::Refused, || format!("{what} was refused: {refusal}"));
        }
    }

    /// Returns `true` when nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.locked().values().all(|found| found.count == 0)
    }

    /// The findings of a run that ends before its verdict, as text.
    pub(super) fn so_far(&self) -> String {
        let all = self.locked();
        let line = |(kind, found): (&Kind, &Found)| {
            let example = found.examples.first().map_or("", String::as_str);
            format!(
                "\nfound before: {} {}: {example}",
                kind.label(),
                found.count
            )
        };
        all.iter()
            .filter(|(_, found)| found.count > 0)
            .map(line)
            .collect()
    }

    /// Number of findings of this kind.
    #[cfg(test)]
    pub(super) fn count(&self, kind: Kind) -> usize {
        self.locked().get(&kind).map_or(0, |found| found.count)
    }

    /// The findings of each kind, including those with none.
    pub(super) fn all(&self) -> BTreeMap<Kind, Found> {
        // With zeros: a report of broken promises alone would not show what was looked for.
        let all = self.locked();
        Kind::ALL
            .iter()
            .map(|kind| (*kind, all.get(kind).cloned().unwrap_or_default()))
            .collect()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<Kind, Found>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
