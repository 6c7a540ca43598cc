//! `parlance selftest delivery`: clients write, page and listen over the wire while nodes, database and NATS are
//! killed, frozen and cut off; then everything that was answered OK is looked for. Operators can run this proof of the
//! guarantees on their own machine.

mod chain;
mod changes;
mod channel;
mod cluster;
mod disturbances;
mod faults;
mod findings;
mod follower;
mod form;
mod history;
mod judge;
mod keyring;
mod latency;
mod ledger;
mod pen;
mod people;
mod phase;
mod plan;
#[cfg(test)]
mod planted;
mod quiet;
mod request;
mod rng;
mod rows;
mod sent;
mod verdict;
mod walker;
mod watchdog;
mod wire;
mod writer;

use std::{
    io::Write,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Subcommand;

use self::{
    cluster::Cluster,
    latency::Latencies,
    ledger::Ledger,
    pen::Pen,
    people::People,
    plan::{Delivery, Plan},
    rng::Rng,
    verdict::{Outcome, Verdict},
};
use crate::{bench::scratch::interrupted, settings::Settings};

/// Maximum time for creating users, friends and conversations.
const PEOPLE_TIMEOUT: Duration = Duration::from_mins(10);

/// The tests.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Nothing lost, doubled, reordered, altered or notified too late, while nodes and database are killed
    Delivery(Delivery),
}

/// The state that all clients of a setting share.
struct Test {
    plan: Plan,
    cluster: Arc<Cluster>,
    people: People,
    /// For each user, a client that writes occasionally.
    pens: Vec<tokio::sync::Mutex<Pen>>,
    /// The clients of each writer while it is idle.
    lanes: Mutex<Vec<Vec<Pen>>>,
    ledger: Mutex<Ledger>,
    latencies: Mutex<Latencies>,
    is_writing: AtomicBool,
    ended: AtomicBool,
    are_pollers_waiting: AtomicBool,
    /// Numbers for messages, from which some ids are made.
    numbers: AtomicU64,
    paced: AtomicUsize,
    next_slot: Mutex<Instant>,
    clears: AtomicUsize,
    removals: AtomicUsize,
    rekeys: AtomicUsize,
    lost_polls: AtomicUsize,
    own_lag_millis: AtomicU64,
}

impl Test {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> MutexGuard<'_, Vec<Vec<Pen>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn latencies(&self) -> MutexGuard<'_, Latencies> {
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_writing(&self) -> bool {
        self.is_writing.load(Ordering::Relaxed)
            && self.paced.load(Ordering::Relaxed) < self.plan.messages
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Waits until `count` more messages may be sent: the rate is that of all writers together.
    async fn pace(&self, count: usize) {
        self.paced.fetch_add(count, Ordering::Relaxed);
        let share =
            Duration::from_secs_f64(f64::from(u32::try_from(count).unwrap_or(1)) / self.plan.rate);
        let slot = {
            let mut next = self
                .next_slot
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            // Time that was missed in a stall is not made up for: a burst would measure the burst.
            let slot = (*next).max(Instant::now());
            *next = slot + share;
            slot
        };
        tokio::time::sleep_until(slot.into()).await;
    }
}

/// Runs the test, and reports the verdict.
///
/// # Errors
/// One sentence for people, also if a promise was broken.
pub(crate) async fn run(
    settings: &Settings,
    command: &Command,
    say: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    let Command::Delivery(delivery) = command;
    let seed = delivery.seed.unwrap_or_else(any_seed);
    // One generator for all settings: the seed repeats the choices, though not the timing.
    let mut rng = Rng::new(seed);
    let has_nats_server = std::process::Command::new("nats-server")
        .arg("--version")
        .output()
        .is_ok();
    let plans = delivery.plans(has_nats_server)?;
    let bound = plans.first().map_or(Duration::ZERO, |plan| plan.bound);
    let is_incomplete = !has_nats_server && plans.len() > 1;
    let skipped: Vec<_> = is_incomplete
        .then(|| "two nodes with NATS: nats-server is not installed".to_owned())
        .into_iter()
        .collect();
    // Said aloud: a run without NATS must not look like a whole one.
    for skipped in &skipped {
        tell(delivery, &format!("skipped: {skipped}"));
    }
    let mut outcomes = vec![];
    for plan in plans {
        let (label, seconds) = (plan.setting.label(), plan.duration.as_secs_f64());
        tell(
            delivery,
            &format!("{label}: {seconds:.0} s of writing, and a little more; seed {seed} ..."),
        );
        outcomes.push(test(plan, settings, &mut rng).await?);
    }
    let verdict = Verdict::of(seed, bound, skipped, outcomes);
    say(&if delivery.json {
        serde_json::to_string(&verdict).map_err(|error| error.to_string())?
    } else {
        verdict.to_string()
    })?;
    if verdict.is_good {
        Ok(())
    } else {
        Err(format!(
            "a promise was broken; --seed {seed} repeats the choices"
        ))
    }
}

async fn test(plan: Plan, settings: &Settings, rng: &mut Rng) -> Result<Outcome, String> {
    let cluster = Arc::new(Cluster::new(plan.setting, settings)?);
    let (outcome, is_suspect) = tokio::select! {
        outcome = begin(plan, cluster.clone(), rng) => {
            let is_suspect = outcome.is_err();
            (outcome, is_suspect)
        }
        sentence = cluster.watchdog.watch() => (Err(sentence), true),
        // An interrupted run is no finding: nothing is kept for inspection, unless there was one before.
        () = interrupted() => (Err("interrupted".into()), false),
    };
    // Whatever became of it, processes that were started here have to end.
    let evidence = cluster
        .end(is_suspect || !cluster.findings.is_empty())
        .await?;
    let kept = evidence
        .as_ref()
        .map(|dir| format!("\nlogs and database are kept in {}", dir.display()))
        .unwrap_or_default();
    match outcome {
        Ok(outcome) => Ok(Outcome {
            evidence,
            ..outcome
        }),
        Err(sentence) => Err(format!("{sentence}{}{kept}", cluster.findings.so_far())),
    }
}

async fn begin(plan: Plan, cluster: Arc<Cluster>, rng: &mut Rng) -> Result<Outcome, String> {
    cluster.start().await?;
    let mut ledger = Ledger::default();
    cluster.watchdog.expect(
        "users, friends and conversations to be made",
        PEOPLE_TIMEOUT,
    );
    let people = People::create(&cluster, &plan, phase::READERS.len(), &mut ledger, rng).await?;
    let pens = people.writers.iter().enumerate();
    let pens = pens.map(|(who, at)| tokio::sync::Mutex::new(Pen::new(who, *at, rng)));
    let pens = pens.collect();
    let lanes = people.lanes.iter().enumerate().map(|(number, lanes)| {
        let who = number % people.writers.len().max(1);
        lanes.iter().map(|at| Pen::new(who, *at, rng)).collect()
    });
    let lanes = Mutex::new(lanes.collect());
    let test = Test {
        plan,
        cluster,
        pens,
        lanes,
        people,
        ledger: Mutex::new(ledger),
        latencies: Mutex::default(),
        is_writing: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        are_pollers_waiting: AtomicBool::new(false),
        numbers: AtomicU64::new(1),
        paced: AtomicUsize::new(0),
        next_slot: Mutex::new(Instant::now()),
        clears: AtomicUsize::new(0),
        removals: AtomicUsize::new(0),
        rekeys: AtomicUsize::new(0),
        lost_polls: AtomicUsize::new(0),
        own_lag_millis: AtomicU64::new(0),
    };
    phase::run(&Arc::new(test), rng).await
}

fn any_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

/// Reports progress on stderr, except to scripts.
fn tell(delivery: &Delivery, sentence: &str) {
    if !delivery.json {
        let _ = writeln!(std::io::stderr(), "{sentence}");
    }
}
