//! One setting, from its start to its outcome: write, read and strike faults; then wait until every reader was told.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    Test, changes,
    channel::Channel,
    faults::{Counts, Struck, deck},
    follower::Follower,
    judge::{self, Truth},
    quiet::{self, Ending},
    rng::Rng,
    verdict::Outcome,
    walker, writer,
};

/// The channels of the readers, in the order of their users. The first two users are in the large conversation.
pub(super) const READERS: [Channel; 9] = [
    Channel::SocketV3,
    Channel::SocketV3,
    Channel::Letter,
    Channel::Letter,
    Channel::Each,
    Channel::PollV4,
    Channel::PollV3,
    Channel::PollV4,
    Channel::PollV3,
];
/// Time at the beginning without faults, so that there is a calm stretch to measure.
const CALM_AT_FIRST: Duration = Duration::from_secs(3);
/// Time before the end of writing in which no fault begins.
const LAST_FAULT: Duration = Duration::from_secs(2);
/// Maximum time for what comes soon, even on a slow machine.
const SOON: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_millis(100);

/// Carries out the test's plan.
pub(super) async fn run(test: &Arc<Test>, rng: &mut Rng) -> Result<Outcome, String> {
    let mut readers = JoinSet::new();
    let mut followers = vec![];
    for (number, (channel, who)) in READERS.iter().zip(&test.people.readers).enumerate() {
        let follower = Arc::new(Follower::new(test.clone(), *channel, *who));
        followers.push(follower.clone());
        let rng = rng.fork();
        readers.spawn(async move { follower.run(number, rng).await });
    }
    // A latency is the server's only as far as the test itself was awake.
    readers.spawn(watch_own_lag(test.clone()));
    let mut counts = Counts::default();
    quiet::begin(test, &followers, rng).await?;
    let mut endings = test.plan.endings.iter().copied().cycle();
    quiet_round(test, endings.next(), &followers, &mut counts, rng).await?;
    let mut took = Duration::ZERO;
    for _ in 0..test.plan.stretches {
        took += write(test, &mut counts, rng).await?;
        if test.plan.is_long {
            quiet::settle(test).await;
            quiet_round(test, endings.next(), &followers, &mut counts, rng).await?;
        }
        if test.paced.load(Ordering::Relaxed) >= test.plan.messages {
            break;
        }
    }
    // The bound counts from the end of the last fault.
    test.cluster.await_all_ready().await?;
    // The histories are read once, before the wait: nothing is written any more.
    let truths = await_told(test, &followers, rng).await?;
    test.ended.store(true, Ordering::Relaxed);
    readers.shutdown().await;
    judge::judge(test, &followers, truths, counts, took).await
}

async fn quiet_round(
    test: &Test,
    ending: Option<Ending>,
    followers: &[Arc<Follower>],
    counts: &mut Counts,
    rng: &mut Rng,
) -> Result<(), String> {
    let ending = ending.ok_or("there is no way to end a node")?;
    quiet::round(test, ending, followers, rng).await?;
    *counts.quiet_rounds.entry(ending).or_default() += 1;
    Ok(())
}

/// Writes and strikes faults. Returns how long it took.
async fn write(test: &Arc<Test>, counts: &mut Counts, rng: &mut Rng) -> Result<Duration, String> {
    let duration = test.plan.duration / test.plan.stretches;
    test.is_writing.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    // A set that is dropped aborts its tasks: after an error nothing goes on writing.
    let mut doers = JoinSet::new();
    for number in 0..test.plan.writers {
        if let Some(writer) = writer::Writer::new(test.clone(), number, rng.fork()) {
            doers.spawn(writer.run());
        }
    }
    doers.spawn(writer::write_quietly(test.clone(), rng.fork()));
    doers.spawn(changes::report(test.clone(), rng.fork()));
    doers.spawn(changes::clear(test.clone(), rng.fork()));
    doers.spawn(changes::remove(test.clone(), rng.fork()));
    doers.spawn(changes::rekey(test.clone(), rng.fork()));
    doers.spawn(changes::flag(test.clone(), rng.fork()));
    doers.spawn(walker::walk(test.clone(), rng.fork()));
    break_things(
        test,
        begun + duration.saturating_sub(LAST_FAULT.min(duration / 4)),
        counts,
        rng,
    )
    .await?;
    let rest = (begun + duration).saturating_duration_since(Instant::now());
    test.cluster
        .watchdog
        .expect("the end of writing", rest + SOON);
    while begun.elapsed() < duration && test.paced.load(Ordering::Relaxed) < test.plan.messages {
        tokio::time::sleep(TICK).await;
    }
    test.is_writing.store(false, Ordering::Relaxed);
    test.cluster
        .watchdog
        .expect("answers to what was written last", SOON * 4);
    // They finish what they began: every message has to be answered before the histories are compared.
    while let Some(ended) = doers.join_next().await {
        ended.map_err(|error| format!("a client of the test has failed: {error}"))?;
    }
    Ok(begun.elapsed())
}

/// Strikes random faults, up to a moment.
async fn break_things(
    test: &Arc<Test>,
    last: Instant,
    counts: &mut Counts,
    rng: &mut Rng,
) -> Result<(), String> {
    let Some(every) = test.plan.kill_every else {
        return Ok(());
    };
    let duration = test.plan.duration / test.plan.stretches;
    let is_finished =
        || Instant::now() >= last || test.paced.load(Ordering::Relaxed) >= test.plan.messages;
    let mut next = Instant::now() + CALM_AT_FIRST.min(duration / 4);
    let mut faults = vec![];
    loop {
        test.cluster.watchdog.expect(
            "the next fault",
            next.saturating_duration_since(Instant::now()) + SOON,
        );
        while Instant::now() < next && !is_finished() {
            tokio::time::sleep(TICK).await;
        }
        if is_finished() {
            return Ok(());
        }
        if faults.is_empty() {
            faults = deck(&test.cluster, duration > test.plan.stays_away * 4, rng);
        }
        let Some(fault) = faults.pop() else {
            return Ok(());
        };
        test.cluster
            .watchdog
            .expect(format!("the end of a fault ({})", fault.label()), SOON * 3);
        match fault.strike(test, last, rng).await? {
            Struck::Done => *counts.struck.entry(fault).or_default() += 1,
            Struck::Not(reason) => {
                *counts
                    .not_struck
                    .entry(format!("{}: {reason}", fault.label()))
                    .or_default() += 1;
            }
        }
        // At random, so that faults do not fall into step with heartbeats.
        next = Instant::now() + every.mul_f64(0.5 + rng.share());
    }
}

/// Waits until every reader holds the whole history, or their time is over.
pub(super) async fn await_told(
    test: &Test,
    followers: &[Arc<Follower>],
    rng: &mut Rng,
) -> Result<Vec<Truth>, String> {
    test.cluster
        .watchdog
        .expect("everybody to be told everything", SOON + test.plan.bound);
    let deadline = Instant::now() + test.plan.bound;
    let truths = judge::truths(test, rng).await?;
    while Instant::now() < deadline && !judge::is_all_told(test, followers, &truths) {
        tokio::time::sleep(TICK).await;
    }
    Ok(truths)
}

/// Measures the test's own lag, for which the server is not to blame.
async fn watch_own_lag(test: Arc<Test>) {
    loop {
        let begun = Instant::now();
        tokio::time::sleep(TICK).await;
        let lag =
            u64::try_from(begun.elapsed().saturating_sub(TICK).as_millis()).unwrap_or(u64::MAX);
        test.own_lag_millis.fetch_max(lag, Ordering::Relaxed);
    }
}
