//! The verdict: what was done, what was found, and how long it took to be told.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

use super::{
    Test,
    dice::Dice,
    faults::{Counts, Fault},
    findings::{Findings, Found, Kind},
    follower::Follower,
    form::{Id, dashed, plain},
    history::Held,
    latency::Line,
    people::Use,
    quiet::Ending,
    walker,
    wire::Wire,
    writer,
};
use crate::store;

/// What came of one setting.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub setting: &'static str,
    /// Messages that were answered OK.
    pub messages: usize,
    /// Requests that were sent again.
    pub retries: usize,
    /// Reports that were answered OK.
    pub reports: usize,
    /// Conversations that were cleared.
    pub clears: usize,
    /// Members that were removed.
    pub removals: usize,
    /// Polls that were hung up on before their answer.
    pub lost_polls: usize,
    /// What was done to nodes, database and NATS.
    pub faults: BTreeMap<Fault, usize>,
    /// What could not be done to them, and why.
    pub not_struck: BTreeMap<String, usize>,
    /// Rounds of last words, by how the node ended that answered them.
    pub quiet_rounds: BTreeMap<Ending, usize>,
    /// From OK to held.
    pub latencies: Vec<Line>,
    /// The longest that the test itself was not awake when it wanted to be, in milliseconds.
    pub own_lag_ms: u64,
    /// What was found.
    pub findings: BTreeMap<Kind, Found>,
    /// For how long was written.
    pub seconds: f64,
    /// Where logs and database are kept, if something was found.
    pub evidence: Option<PathBuf>,
}

/// What came of all settings.
#[derive(Debug, Serialize)]
pub(super) struct Verdict {
    /// Whether all promises were kept.
    pub is_good: bool,
    /// What chance was decided by.
    pub seed: u64,
    /// Messages that were answered OK, in all.
    pub messages: usize,
    /// Requests that were sent again, in all.
    pub retries: usize,
    /// Later than so many seconds after its OK, or the end of a fault, nothing may be told.
    pub bound_seconds: f64,
    /// How often each promise was broken, in all.
    #[serde(flatten)]
    pub totals: BTreeMap<Kind, usize>,
    /// What was left out, and why.
    pub skipped: Vec<String>,
    pub settings: Vec<Outcome>,
}

impl Verdict {
    /// Over all settings.
    pub(super) fn of(
        seed: u64,
        bound: Duration,
        skipped: Vec<String>,
        settings: Vec<Outcome>,
    ) -> Self {
        let total = |kind: &Kind| {
            settings
                .iter()
                .filter_map(|setting| setting.findings.get(kind))
                .map(|found| found.count)
                .sum()
        };
        let totals: BTreeMap<Kind, usize> =
            Kind::ALL.iter().map(|kind| (*kind, total(kind))).collect();
        Self {
            is_good: totals.values().all(|count| *count == 0),
            seed,
            messages: settings.iter().map(|setting| setting.messages).sum(),
            retries: settings.iter().map(|setting| setting.retries).sum(),
            bound_seconds: bound.as_secs_f64(),
            totals,
            skipped,
            settings,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            setting,
            messages,
            retries,
            reports,
            clears,
            removals,
            lost_polls,
            own_lag_ms,
            seconds,
            ..
        } = self;
        writeln!(f, "{setting}")?;
        writeln!(
            f,
            "  answered OK          {messages} messages in {seconds:.0} s, {reports} reports, {clears} clears, {removals} removals"
        )?;
        writeln!(
            f,
            "  sent again           {retries} requests; {lost_polls} polls hung up on"
        )?;
        let faults: Vec<_> = self
            .faults
            .iter()
            .map(|(fault, count)| format!("{} {count}", fault.label()))
            .collect();
        writeln!(
            f,
            "  faults               {}",
            if faults.is_empty() {
                "none".into()
            } else {
                faults.join(", ")
            }
        )?;
        for (what, count) in &self.not_struck {
            writeln!(f, "  could not be done    {what} ({count})")?;
        }
        let rounds: Vec<_> = self
            .quiet_rounds
            .iter()
            .map(|(ending, count)| format!("{} {count}", ending.label()))
            .collect();
        writeln!(f, "  quiet rounds         {}", rounds.join(", "))?;
        for is_calm in [true, false] {
            for line in self.latencies.iter().filter(|line| line.is_calm == is_calm) {
                let stretch = if is_calm {
                    "OK to held, calm"
                } else {
                    "OK to held, faults"
                };
                let Line {
                    rows,
                    p50_ms,
                    p99_ms,
                    worst_ms,
                    ..
                } = line;
                let reader = line.reader.label();
                writeln!(
                    f,
                    "  {stretch:<20} {reader:<25} p50 {p50_ms:>6.0} ms, p99 {p99_ms:>6.0}, worst {worst_ms:>6.0} ({rows})"
                )?;
            }
        }
        if let Some(evidence) = &self.evidence {
            writeln!(
                f,
                "  kept                 logs and database, in {}",
                evidence.display()
            )?;
        }
        writeln!(f, "  own lag, at most     {own_lag_ms} ms")
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.settings {
            writeln!(f, "{setting}")?;
        }
        for skipped in &self.skipped {
            writeln!(f, "skipped: {skipped}\n")?;
        }
        for (kind, count) in &self.totals {
            writeln!(f, "{:<22} {count}", kind.label())?;
            for setting in &self.settings {
                for example in setting
                    .findings
                    .get(kind)
                    .map_or(&[][..], |found| &found.examples)
                {
                    writeln!(f, "    {}: {example}", setting.setting)?;
                }
            }
        }
        writeln!(
            f,
            "{:<22} {:.0} s after the OK, or the end of a fault",
            "told late is", self.bound_seconds
        )?;
        write!(f, "{:<22} {}", "seed", self.seed)
    }
}

/// Reads the whole history, and compares with it what was answered and what everyone holds.
pub(super) async fn judge(
    test: &Test,
    followers: &[Arc<Follower>],
    truths: Vec<Truth>,
    counts: Counts,
    took: Duration,
) -> Result<Outcome, String> {
    let findings = &test.cluster.findings;
    for Truth {
        conversation,
        held: truth,
        reported,
    } in &truths
    {
        test.ledger().compare(truth, findings);
        test.ledger().compare_reports(truth, reported, findings);
        for follower in followers {
            if let Some(held) = follower
                .held()
                .get(conversation)
                .filter(|held| held.instance == truth.instance)
            {
                held.compare(truth, findings);
            }
        }
    }
    count_misses(test, followers, &truths);
    for rule in store::doctor::examine(&test.cluster.db)
        .await
        .map_err(|error| error.to_string())?
    {
        findings.add(Kind::RulesNotKept, || {
            format!("{:?}: {}", rule.rule, rule.example)
        });
    }
    let read = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let reports = test
        .ledger()
        .reported
        .values()
        .filter(|sent| sent.answered.is_some())
        .count();
    Ok(Outcome {
        setting: test.plan.setting.label(),
        messages: writer::count_answered(test),
        retries: test.cluster.retries(),
        reports,
        clears: read(&test.clears),
        removals: read(&test.removals),
        lost_polls: read(&test.lost_polls),
        faults: counts.struck,
        not_struck: counts.not_struck,
        quiet_rounds: counts.quiet_rounds,
        latencies: test.latencies().lines(),
        own_lag_ms: test.own_lag_millis.load(Ordering::Relaxed),
        findings: findings.all(),
        seconds: took.as_secs_f64(),
        evidence: None,
    })
}

/// Counts what was never told to someone who waited for it.
pub(super) fn count_misses(test: &Test, followers: &[Arc<Follower>], truths: &[Truth]) {
    for truth in truths {
        for follower in followers
            .iter()
            .filter(|follower| is_due(test, follower, truth.conversation))
        {
            let held = follower.held();
            count_missed(
                &truth.held,
                held.get(&truth.conversation),
                &test.cluster.findings,
                |example| {
                    let used = test
                        .people
                        .conversations
                        .iter()
                        .find(|one| one.id == truth.conversation)
                        .map_or("", |one| label(one.r#use));
                    format!(
                        "rows, as {}, of a {used} conversation to {} of {}",
                        dashed(example),
                        follower.way.label(),
                        plain(follower.who.user)
                    )
                },
            );
        }
    }
}

/// Counts what of a history someone does not hold; `says`: a sentence on one of these rows.
pub(super) fn count_missed(
    truth: &Held,
    held: Option<&Held>,
    findings: &Findings,
    says: impl FnOnce(Id) -> String,
) {
    let missing = truth.missed_by(held);
    if let Some(example) = missing.first() {
        findings.add_many(Kind::UnderNotified, missing.len(), || says(*example));
    }
}

/// Whether everybody holds everything that they have to.
pub(super) fn is_all_told(test: &Test, followers: &[Arc<Follower>], truths: &[Truth]) -> bool {
    truths.iter().all(|truth| {
        let mut due = followers
            .iter()
            .filter(|follower| is_due(test, follower, truth.conversation));
        due.all(|follower| {
            truth
                .held
                .missed_by(follower.held().get(&truth.conversation))
                .is_empty()
        })
    })
}

/// Whether someone is to be told of a conversation: they are in it, and were not removed.
fn is_due(test: &Test, follower: &Follower, conversation: Id) -> bool {
    let reader = follower.who.user;
    let is_removed = test
        .ledger()
        .members
        .get(&(conversation, reader))
        .is_some_and(|member| !member.value);
    !is_removed && test.people.of(reader).any(|one| one.id == conversation)
}

/// A conversation's whole history.
pub(super) struct Truth {
    pub conversation: Id,
    pub held: Held,
    /// Its reports: message, user, type.
    pub reported: HashSet<(Id, Id, String)>,
}

/// Reads the history of all conversations.
pub(super) async fn truths(test: &Test, dice: &mut Dice) -> Result<Vec<Truth>, String> {
    let mut truths = vec![];
    for conversation in &test.people.conversations {
        let who = test
            .people
            .member(conversation, 0)
            .ok_or("a conversation has no members")?;
        let mut wire = Wire::new(who, 0, dice.fork());
        let (held, reported) = walker::read_all(test, conversation, &mut wire).await?;
        truths.push(Truth {
            conversation: conversation.id,
            held,
            reported,
        });
    }
    Ok(truths)
}

fn label(r#use: Use) -> &'static str {
    match r#use {
        Use::Busy => "busy",
        Use::Quiet => "quiet",
        Use::LastWords => "quiet (a node's last words)",
        Use::Cleared => "cleared",
        Use::Large => "large",
        Use::Group => "group",
    }
}
