//! One setting, from its start to its outcome: write, read and break things; then wait until everybody was told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use super::{
    Test, changes,
    dice::Dice,
    faults::{Counts, Fault, deck},
    follower::Follower,
    verdict::{self, Outcome, Truth},
    walker,
    way::Way,
    writer,
};
use crate::store;

/// The readers, in the order of the users that they are of. The first two are in the large conversation.
pub const READERS: [Way; 9] =
    [Way::SocketV3, Way::SocketV3, Way::Letter, Way::Letter, Way::Each, Way::PollV4, Way::PollV3, Way::PollV4, Way::PollV3];
/// Nothing is broken in the beginning: so long is calm for sure.
const CALM_AT_FIRST: Duration = Duration::from_secs(3);
/// So long before its end, writing goes on undisturbed.
const LAST_FAULT: Duration = Duration::from_secs(2);
/// So long after they started, two nodes know each other, and have no reason to make anybody compare everything.
const INTRODUCTION: Duration = Duration::from_secs(7);
/// So long after the last fault, nothing of it tells anyone anything any more.
const SETTLES: Duration = store::DECIDED.saturating_add(Duration::from_secs(1));
const TICK: Duration = Duration::from_millis(100);

/// Does what the test's plan says.
pub async fn run(test: &Arc<Test>, dice: &mut Dice) -> Result<Outcome, String> {
    let mut readers = JoinSet::new();
    let mut followers = vec![];
    for (number, (way, who)) in READERS.iter().zip(&test.people.readers).enumerate() {
        let follower = Arc::new(Follower::new(test.clone(), *way, *who));
        followers.push(follower.clone());
        let dice = dice.fork();
        readers.spawn(async move { follower.run(number, dice).await });
    }
    readers.spawn(watch_own_lag(test.clone()));
    let mut faults = Counts::new();
    if let Some(node) = begin_quietly(test, &followers, dice).await? {
        faults.insert(Fault::NodeStaysAway, 1);
        test.cluster.disturb();
        test.cluster.start_node(node).await?;
        test.cluster.await_ready(node).await?;
        test.cluster.disturbed();
    }
    test.is_writing.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let until = begun + test.plan.duration;
    let mut doers = JoinSet::new();
    for number in 0..test.plan.writers {
        if let Some(writer) = writer::Writer::new(test.clone(), number % test.people.writers.len().max(1), dice.fork()) {
            doers.spawn(writer.run());
        }
    }
    doers.spawn(writer::write_quietly(test.clone(), dice.fork()));
    doers.spawn(changes::report(test.clone(), dice.fork()));
    doers.spawn(changes::clear(test.clone(), dice.fork()));
    doers.spawn(changes::remove(test.clone(), dice.fork()));
    doers.spawn(changes::flag(test.clone(), dice.fork()));
    doers.spawn(walker::walk(test.clone(), dice.fork()));
    let last = begun + test.plan.duration.saturating_sub(LAST_FAULT.min(test.plan.duration / 4));
    break_things(test, last, &mut faults, dice).await?;
    while Instant::now() < until && test.paced.load(Ordering::Relaxed) < test.plan.messages {
        tokio::time::sleep(TICK).await;
    }
    test.is_writing.store(false, Ordering::Relaxed);
    while let Some(ended) = doers.join_next().await {
        ended.map_err(|error| error.to_string())?;
    }
    let took = begun.elapsed();
    if test.plan.ends_quietly {
        // After a fault of the database, everybody is told to compare everything once more; and that would tell of these, too.
        while test.cluster.undisturbed(begun).0.is_none_or(|calm| calm < SETTLES) {
            tokio::time::sleep(TICK).await;
        }
        say_last_words(test, &followers, dice).await?;
    }
    let truths = await_told(test, &followers, dice).await?;
    test.is_over.store(true, Ordering::Relaxed);
    readers.shutdown().await;
    verdict::judge(test, &followers, truths, faults, took).await
}

/// One fault after the other, as chance decides, up to a moment.
async fn break_things(test: &Arc<Test>, last: Instant, counts: &mut Counts, dice: &mut Dice) -> Result<(), String> {
    let Some(every) = test.plan.kill_every else { return Ok(()) };
    tokio::time::sleep(CALM_AT_FIRST.min(test.plan.duration / 4)).await;
    let has_time = test.plan.duration > test.plan.stays_away * 4;
    let mut faults = vec![];
    while Instant::now() < last && test.paced.load(Ordering::Relaxed) < test.plan.messages {
        if faults.is_empty() {
            faults = deck(&test.cluster, has_time, dice);
        }
        let Some(fault) = faults.pop() else { break };
        fault.strike(test, last, dice).await?;
        *counts.entry(fault).or_default() += 1;
        let pause = every.mul_f64(0.5 + dice.share());
        tokio::time::sleep_until((Instant::now() + pause).min(last).into()).await;
    }
    Ok(())
}

/// Begins before anyone writes, when nothing tells anyone anything by chance: says last words, and sees that all are told.
/// The node that has ended, if one has.
async fn begin_quietly(test: &Arc<Test>, followers: &[Arc<Follower>], dice: &mut Dice) -> Result<Option<usize>, String> {
    writer::fill(test.clone(), dice.fork()).await;
    let nodes_know_each_other = test.cluster.started + if test.plan.setting.nodes > 1 { INTRODUCTION } else { TICK };
    while followers.iter().any(|follower| !follower.has_listed()) {
        tokio::time::sleep(TICK).await;
    }
    tokio::time::sleep_until(nodes_know_each_other.into()).await;
    await_told(test, followers, dice).await?;
    let away = say_last_words(test, followers, dice).await?;
    let truths = await_told(test, followers, dice).await?;
    verdict::count_misses(test, followers, &truths);
    Ok(away)
}

/// A message here and there, of which each poller loses the first answer, and after which, where only beats tell others of
/// it, the node ends that answered them. And what is more than a page is read once more from its beginning. Which node ended.
async fn say_last_words(test: &Test, followers: &[Arc<Follower>], dice: &mut Dice) -> Result<Option<usize>, String> {
    test.are_pollers_waiting.store(true, Ordering::Relaxed);
    tokio::time::sleep(TICK * 3).await;
    let node = dice.below(test.cluster.size());
    writer::last_words(test, node, dice).await;
    let ends = test.plan.kill_every.is_some() && test.plan.setting.nodes > 1 && !test.plan.setting.has_nats;
    if ends {
        test.cluster.disturb();
        test.cluster.end_node(node, Signal::SIGTERM).await?;
        test.cluster.disturbed();
    }
    for follower in followers {
        match follower.way {
            Way::PollV3 | Way::PollV4 => follower.lose_a_poll(),
            Way::SocketV3 => follower.forget_the_large_one(),
            Way::Letter | Way::Each => {}
        }
    }
    test.are_pollers_waiting.store(false, Ordering::Relaxed);
    // What they are to forget is forgotten when they next look.
    tokio::time::sleep(TICK * 3).await;
    Ok(ends.then_some(node))
}

/// Waits until every reader holds the whole history, or was not told in time.
async fn await_told(test: &Test, followers: &[Arc<Follower>], dice: &mut Dice) -> Result<Vec<Truth>, String> {
    let deadline = Instant::now() + test.plan.bound;
    let truths = verdict::truths(test, dice).await?;
    let misses = |follower: &Arc<Follower>| truths.iter().any(|truth| verdict::misses(test, follower, &truth.held).0 > 0);
    while Instant::now() < deadline && followers.iter().any(misses) {
        tokio::time::sleep(TICK).await;
    }
    Ok(truths)
}

/// What the server cannot help: how late we are ourselves.
async fn watch_own_lag(test: Arc<Test>) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(TICK).await;
        let lag = u64::try_from(begun.elapsed().saturating_sub(TICK).as_millis()).unwrap_or(u64::MAX);
        test.own_lag_millis.fetch_max(lag, Ordering::Relaxed);
    }
}
