//! Reaching the verdict: the whole history is compared with what was answered and what readers hold.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    Test,
    faults::Counts,
    findings::{Findings, Kind},
    follower::Follower,
    form::{Id, dashed, plain},
    history::Held,
    keyring::Keyring,
    people::Use,
    rng::Rng,
    verdict::Outcome,
    walker,
    wire::Wire,
    writer,
};
use crate::store;

/// Compares the whole history with what was answered and what readers hold.
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
                // An old instance is not compared: that its holder misses the new one is counted below.
                .filter(|held| held.instance == truth.instance)
            {
                held.compare(truth, findings);
            }
        }
    }
    // After the comparison: what is not in the history was not missed, but lost.
    count_misses(test, followers, &truths);
    // Over SQL, beside what the wire shows: damage that no reader of this run has met yet.
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
    let (messages, sealed) = writer::count_answered(test);
    Ok(Outcome {
        setting: test.plan.setting.label(),
        messages,
        sealed,
        retries: test.cluster.retries(),
        reports,
        clears: read(&test.clears),
        removals: read(&test.removals),
        epochs: read(&test.rekeys),
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

/// Counts what readers were never notified of.
pub(super) fn count_misses(test: &Test, followers: &[Arc<Follower>], truths: &[Truth]) {
    for truth in truths {
        for follower in followers
            .iter()
            .filter(|follower| is_due(test, follower, truth.conversation))
        {
            let held = follower.held();
            let held = held.get(&truth.conversation);
            if held.is_some_and(Held::has_unread) {
                test.cluster.findings.add(Kind::Undecryptable, || {
                    let (reader, id) = (plain(follower.who.user), plain(truth.conversation));
                    format!("messages of {id} are not opened by {reader}")
                });
            }
            count_missed(&truth.held, held, &test.cluster.findings, |example| {
                let used = test
                    .people
                    .conversations
                    .iter()
                    .find(|one| one.id == truth.conversation)
                    .map_or("", |one| label(one.r#use));
                format!(
                    "rows, as {}, of a {used} conversation to {} of {}",
                    dashed(example),
                    follower.channel.label(),
                    plain(follower.who.user)
                )
            });
        }
    }
}

/// Counts the rows of a history that a reader does not hold; `says` makes a sentence about one of them.
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

/// Returns `true` when every reader holds everything that they have to.
pub(super) fn is_all_told(test: &Test, followers: &[Arc<Follower>], truths: &[Truth]) -> bool {
    truths.iter().all(|truth| {
        let mut due = followers
            .iter()
            .filter(|follower| is_due(test, follower, truth.conversation));
        due.all(|follower| {
            let held = follower.held();
            let held = held.get(&truth.conversation);
            truth.held.missed_by(held).is_empty() && !held.is_some_and(Held::has_unread)
        })
    })
}

/// Returns `true` when a reader has to be told of a conversation: they are in it, and were not removed.
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
pub(super) async fn truths(test: &Test, rng: &mut Rng) -> Result<Vec<Truth>, String> {
    let (mut truths, mut keyrings) = (vec![], HashMap::<Id, Keyring>::new());
    for conversation in &test.people.conversations {
        // The first member is never removed.
        let who = test
            .people
            .member(conversation, 0)
            .ok_or("a conversation has no members")?;
        let mut wire = Wire::new(who, 0, rng.fork());
        let keyring = keyrings.entry(who.user).or_default();
        let (held, reported) = walker::read_all(test, conversation, &mut wire, keyring).await?;
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
