//! `parlance selftest delivery`: clients write, page and listen over the wire, while nodes, database and NATS are killed,
//! frozen and cut off; then everything that was answered OK is looked for. It is the proof of the promises, for whoever
//! wants to see it on their own machine.

mod chain;
mod changes;
mod cluster;
mod dice;
mod faults;
mod findings;
mod follower;
mod history;
mod latency;
mod ledger;
mod people;
mod phase;
mod plan;
#[cfg(test)]
mod planted;
mod postgres;
mod rows;
mod verdict;
mod walker;
mod way;
mod wire;
mod writer;

use std::{
    io::{IsTerminal, Write},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Subcommand;

use self::{
    cluster::Cluster,
    dice::Dice,
    findings::Findings,
    latency::Latencies,
    ledger::Ledger,
    people::People,
    plan::{Delivery, Plan},
    verdict::{Outcome, Verdict},
};
use crate::{bench::place::interrupted, settings::Settings};

/// What is to be tested.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Nothing lost, doubled, reordered, altered or told too late, while nodes and database are killed
    Delivery(Delivery),
}

/// What all clients of one setting share.
struct Test {
    plan: Plan,
    cluster: Cluster,
    people: People,
    ledger: Mutex<Ledger>,
    findings: Findings,
    latencies: Mutex<Latencies>,
    is_writing: AtomicBool,
    is_over: AtomicBool,
    are_pollers_waiting: AtomicBool,
    /// Each message has a number, too.
    numbers: AtomicU64,
    paced: AtomicUsize,
    next_slot: Mutex<Instant>,
    clears: AtomicUsize,
    removals: AtomicUsize,
    lost_polls: AtomicUsize,
    own_lag_millis: AtomicU64,
}

impl Test {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latencies(&self) -> MutexGuard<'_, Latencies> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed) && self.paced.load(Ordering::Relaxed) < self.plan.messages
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until so many messages may be sent.
    async fn pace(&self, count: usize) {
        self.paced.fetch_add(count, Ordering::Relaxed);
        let share = Duration::from_secs_f64(f64::from(u32::try_from(count).unwrap_or(1)) / self.plan.rate);
        let slot = {
            let mut next = self.next_slot.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = (*next).max(Instant::now());
            *next = slot + share;
            slot
        };
        tokio::time::sleep_until(slot.into()).await;
    }
}

/// Tests, and says what came of it.
///
/// # Errors
/// One sentence, also if a promise was broken.
pub async fn run(settings: &Settings, command: &Command, say: impl Fn(&str) -> Result<(), String>) -> Result<(), String> {
    let Command::Delivery(delivery) = command;
    let seed = delivery.seed.unwrap_or_else(any_seed);
    let mut dice = Dice::new(seed);
    let has_nats_server = std::process::Command::new("nats-server").arg("--version").output().is_ok();
    let plans = delivery.plans(has_nats_server)?;
    let bound = plans.first().map_or(Duration::ZERO, |plan| plan.bound);
    let is_incomplete = !has_nats_server && plans.len() > 1;
    let skipped = is_incomplete.then(|| "two nodes with NATS: nats-server is not installed".to_owned()).into_iter().collect();
    let mut outcomes = vec![];
    for plan in plans {
        show(delivery, &plan);
        outcomes.push(test(plan, settings, &mut dice).await?);
    }
    let verdict = Verdict::of(seed, bound, skipped, outcomes);
    say(&if delivery.json { serde_json::to_string(&verdict).map_err(|error| error.to_string())? } else { verdict.to_string() })?;
    if verdict.is_good { Ok(()) } else { Err(format!("a promise was broken; --seed {seed} repeats the choices")) }
}

async fn test(plan: Plan, settings: &Settings, dice: &mut Dice) -> Result<Outcome, String> {
    let cluster = Cluster::start(plan.setting.nodes, plan.setting.has_nats, settings).await?;
    let mut ledger = Ledger::default();
    let people = tokio::select! {
        people = People::settle(&cluster, plan.conversations, phase::READERS.len(), &mut ledger, dice) => people,
        () = interrupted() => Err("interrupted".into()),
    };
    let people = match people {
        Ok(people) => people,
        Err(sentence) => {
            cluster.end().await?;
            return Err(sentence);
        }
    };
    let test = Arc::new(Test {
        plan,
        cluster,
        people,
        ledger: Mutex::new(ledger),
        findings: Findings::default(),
        latencies: Mutex::default(),
        is_writing: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        are_pollers_waiting: AtomicBool::new(false),
        numbers: AtomicU64::new(1),
        paced: AtomicUsize::new(0),
        next_slot: Mutex::new(Instant::now()),
        clears: AtomicUsize::new(0),
        removals: AtomicUsize::new(0),
        lost_polls: AtomicUsize::new(0),
        own_lag_millis: AtomicU64::new(0),
    });
    let outcome = tokio::select! {
        outcome = phase::run(&test, dice) => outcome,
        () = interrupted() => Err("interrupted".into()),
    };
    test.is_writing.store(false, Ordering::Relaxed);
    test.is_over.store(true, Ordering::Relaxed);
    test.cluster.end().await?;
    outcome
}

fn any_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

/// Says on a terminal what comes now.
fn show(delivery: &Delivery, plan: &Plan) {
    let mut stderr = std::io::stderr();
    if !delivery.json && stderr.is_terminal() {
        let _ = writeln!(stderr, "{}: {:.0} s of writing, and a little more ...", plan.setting.label(), plan.duration.as_secs_f64());
    }
}
