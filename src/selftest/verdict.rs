//! The verdict: what was done, what was found, and how long it took to be told.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use super::{
    Test,
    faults::Counts,
    findings::{Found, Kind},
    latency::Line,
    people::Use,
    walker, writer,
};
use crate::{selftest::follower::Follower, store};

/// What came of one setting.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Where.
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
    pub faults: Counts,
    /// From OK to held.
    pub latencies: Vec<Line>,
    /// The longest that the test itself was not awake when it wanted to be, in milliseconds.
    pub own_lag_ms: u64,
    /// What was found.
    pub findings: BTreeMap<Kind, Found>,
    /// For how long was written.
    pub seconds: f64,
}

/// What came of all settings.
#[derive(Debug, Serialize)]
pub struct Verdict {
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
    /// Each setting.
    pub settings: Vec<Outcome>,
}

impl Verdict {
    /// Over all settings.
    pub fn of(seed: u64, bound: Duration, skipped: Vec<String>, settings: Vec<Outcome>) -> Self {
        let total = |kind: &Kind| settings.iter().filter_map(|setting| setting.findings.get(kind)).map(|found| found.count).sum();
        let totals: BTreeMap<Kind, usize> = Kind::ALL.iter().map(|kind| (*kind, total(kind))).collect();
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
        let Self { setting, messages, retries, reports, clears, removals, lost_polls, own_lag_ms, seconds, .. } = self;
        writeln!(f, "{setting}")?;
        writeln!(
            f,
            "  answered OK          {messages} messages in {seconds:.0} s, {reports} reports, {clears} clears, {removals} removals"
        )?;
        writeln!(f, "  sent again           {retries} requests; {lost_polls} polls hung up on")?;
        let faults: Vec<_> = self.faults.iter().map(|(fault, count)| format!("{} {count}", fault.label())).collect();
        writeln!(f, "  faults               {}", if faults.is_empty() { "none".into() } else { faults.join(", ") })?;
        for is_calm in [true, false] {
            for line in self.latencies.iter().filter(|line| line.is_calm == is_calm) {
                let stretch = if is_calm { "OK to held, calm" } else { "OK to held, faults" };
                let Line { messages, p50_ms, p99_ms, worst_ms, .. } = line;
                let reader = line.reader.label();
                writeln!(f, "  {stretch:<20} {reader:<25} p50 {p50_ms:>6.0} ms, p99 {p99_ms:>6.0}, worst {worst_ms:>6.0} ({messages})")?;
            }
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
                for example in setting.findings.get(kind).map_or(&[][..], |found| &found.examples) {
                    writeln!(f, "    {}: {example}", setting.setting)?;
                }
            }
        }
        writeln!(f, "{:<22} {:.0} s after the OK, or the end of a fault", "told late is", self.bound_seconds)?;
        write!(f, "{:<22} {}", "seed", self.seed)
    }
}

/// Reads the whole history, and compares with it what was answered and what everyone holds.
pub async fn judge(
    test: &Test,
    followers: &[std::sync::Arc<Follower>],
    truths: Vec<Truth>,
    faults: Counts,
    took: Duration,
) -> Result<Outcome, String> {
    let findings = &test.findings;
    for Truth { conversation, held: truth, reported } in &truths {
        test.ledger().compare(truth, findings);
        test.ledger().compare_reports(truth, reported, findings);
        for follower in followers {
            if let Some(held) = follower.held().get(conversation).filter(|held| held.instance == truth.instance) {
                held.compare(truth, findings);
            }
        }
    }
    count_misses(test, followers, &truths);
    for rule in store::doctor::examine(&test.cluster.db).await.map_err(|error| error.to_string())? {
        findings.add(Kind::RulesNotKept, || format!("{:?}: {}", rule.rule, rule.example));
    }
    let count = |counter: &std::sync::atomic::AtomicUsize| counter.load(std::sync::atomic::Ordering::Relaxed);
    let reports = test.ledger().reported.values().filter(|sent| sent.answered.is_some()).count();
    Ok(Outcome {
        setting: test.plan.setting.label(),
        messages: writer::count_answered(test),
        retries: test.cluster.retries(),
        reports,
        clears: count(&test.clears),
        removals: count(&test.removals),
        lost_polls: count(&test.lost_polls),
        faults,
        latencies: test.latencies().lines(),
        own_lag_ms: test.own_lag_millis.load(std::sync::atomic::Ordering::Relaxed),
        findings: findings.all(),
        seconds: took.as_secs_f64(),
    })
}

/// Counts what was never told to someone who waited for it.
pub fn count_misses(test: &Test, followers: &[std::sync::Arc<Follower>], truths: &[Truth]) {
    for truth in truths {
        for follower in followers {
            let (missing, example) = misses(test, follower, &truth.held);
            test.findings.add_many(Kind::UnderNotified, missing, || example);
        }
    }
}

/// A conversation's whole history.
pub struct Truth {
    /// Which.
    pub conversation: super::wire::Id,
    /// Its rows.
    pub held: super::history::Held,
    /// Its reports: message, user, type.
    pub reported: std::collections::HashSet<(super::wire::Id, super::wire::Id, String)>,
}

/// Reads the history of all conversations.
pub async fn truths(test: &Test, dice: &mut super::dice::Dice) -> Result<Vec<Truth>, String> {
    let mut truths = vec![];
    for conversation in &test.people.conversations {
        let who = test.people.member(conversation, 0).ok_or("a conversation has no members")?;
        let mut wire = super::wire::Wire::new(who, 0, dice.fork());
        let (held, reported) = walker::read_all(test, conversation, &mut wire).await?;
        truths.push(Truth { conversation: conversation.id, held, reported });
    }
    Ok(truths)
}

/// How many rows of a conversation that it is in a reader does not hold; and a sentence on it.
pub fn misses(test: &Test, follower: &Follower, truth: &super::history::Held) -> (usize, String) {
    let reader = follower.who.user;
    let Some(conversation) = test.people.conversations.iter().find(|one| one.id == truth.conversation) else { return (0, String::new()) };
    let is_member = conversation.members.iter().any(|member| test.people.writers.get(*member).is_some_and(|writer| writer.user == reader));
    let is_removed = test.ledger().members.get(&(truth.conversation, reader)).is_some_and(|member| !member.value);
    if !is_member || is_removed {
        return (0, String::new());
    }
    let all = follower.held();
    let held = all.get(&truth.conversation).filter(|held| held.instance == truth.instance);
    let missing = held.map_or_else(|| truth.messages.iter().chain(&truth.reports).copied().collect(), |held| held.misses(truth));
    let example = missing.first().map(|id| super::wire::dashed(*id)).unwrap_or_default();
    let says = format!(
        "{} rows, as {example}, of a {} conversation to {} of {}",
        missing.len(),
        label(conversation.r#use),
        follower.way.label(),
        super::wire::plain(reader)
    );
    (missing.len(), says)
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
