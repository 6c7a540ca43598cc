//! `parlance selftest delivery`: clients write, page and listen over the wire, while server and database are
//! killed and connections are cut; then everything that was answered OK is looked for. It is the proof of the
//! promises, for whoever wants to see it on their own machine.

mod reader;
mod scene;
mod verdict;
mod writer;

use std::{
    collections::HashMap,
    io::{IsTerminal, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::task::JoinSet;

use self::{
    reader::{Reader, Way},
    scene::{Dice, Scene},
    verdict::Verdict,
    writer::Writer,
};
use crate::{
    bench::place::{Place, interrupted},
    model::id::{ConversationId, MessageId},
    settings::Settings,
    store,
};

/// A database that was killed is given so long before it may be killed again: it recovers meanwhile.
const RECOVERY: Duration = Duration::from_secs(2);
/// How long readers may take in the end to hear of what they do not have yet.
const LAST_CALL: Duration = Duration::from_mins(2);

/// What is to be tested.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Nothing lost, doubled, reordered or under-notified, while server and database are killed
    Delivery(Delivery),
}

/// How hard to try.
#[derive(Debug, Args)]
pub struct Delivery {
    /// How many messages are written
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Write for so long instead, as 1h or 90s
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// At most so many messages a second
    #[arg(long)]
    rate: Option<f64>,
    /// Kill the server, or the database, about this often; 0s: never
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration)]
    kill_every: Duration,
    /// How many write at once
    #[arg(long, default_value_t = 32)]
    writers: usize,
    /// How many conversations they write into
    #[arg(long, default_value_t = 40)]
    conversations: usize,
    /// What chance decides on; the same number decides the same
    #[arg(long)]
    seed: Option<u64>,
    /// For scripts: one JSON object
    #[arg(long)]
    json: bool,
}

/// What all share.
pub struct Test {
    scene: Scene,
    place: Place,
    /// Messages that were answered OK, in the order of each writer.
    answered: Mutex<HashMap<(usize, ConversationId), Vec<MessageId>>>,
    written: AtomicUsize,
    /// How many are to be written.
    target: AtomicUsize,
    retries: AtomicUsize,
    is_over: AtomicBool,
}

impl Test {
    fn answered(&self) -> std::sync::MutexGuard<'_, HashMap<(usize, ConversationId), Vec<MessageId>>> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
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
    let place = Place::scratch(None, settings).await?;
    let scene = Scene::set(&place, delivery.conversations, &mut dice).await?;
    let test = Arc::new(Test {
        scene,
        place,
        answered: Mutex::default(),
        written: AtomicUsize::new(0),
        target: AtomicUsize::new(if delivery.duration.is_some() { usize::MAX } else { delivery.messages }),
        retries: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    });
    let result = tokio::select! {
        result = deliver(&test, delivery, &mut dice) => result,
        () = interrupted() => Err("interrupted".into()),
    };
    test.is_over.store(true, Ordering::Relaxed);
    test.place.leave().await?;
    let verdict = result?.with(seed);
    say(&if delivery.json { serde_json::to_string(&verdict).map_err(|error| error.to_string())? } else { verdict.to_string() })?;
    if verdict.is_good() { Ok(()) } else { Err(format!("a promise was broken; --seed {seed} repeats it")) }
}

fn any_seed() -> u64 {
    let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
    high ^ low
}

async fn deliver(test: &Arc<Test>, delivery: &Delivery, dice: &mut Dice) -> Result<Verdict, String> {
    let begun = Instant::now();
    let mut writers = JoinSet::new();
    for number in 0..delivery.writers {
        let pause = delivery.rate.map(|rate| Duration::from_secs_f64(f64::from(u32::try_from(delivery.writers).unwrap_or(1)) / rate));
        let writer = Writer::new(test.clone(), number, pause, dice.fork());
        writers.spawn(writer.run());
    }
    let mut readers = vec![];
    for (number, way) in [Way::Polls, Way::Listens].into_iter().cycle().take(test.scene.readers()).enumerate() {
        let reader = Arc::new(Reader::new(test.clone(), number, way, dice.fork()));
        readers.push((reader.clone(), tokio::spawn(async move { reader.run().await })));
    }

    let mut kills = [0, 0];
    let mut next_kill = Instant::now() + delivery.kill_every;
    let mut progress = tokio::time::interval(Duration::from_secs(1));
    while !writers.is_empty() {
        tokio::select! {
            ended = writers.join_next() => {
                if let Some(ended) = ended {
                    ended.map_err(|error| error.to_string())??;
                }
            }
            _ = progress.tick() => {
                show(test, delivery, begun, kills);
                if delivery.duration.is_some_and(|duration| begun.elapsed() > duration) {
                    test.target.store(0, Ordering::Relaxed);
                }
                if !delivery.kill_every.is_zero() && Instant::now() > next_kill && test.written.load(Ordering::Relaxed) < test.target.load(Ordering::Relaxed) {
                    let whom = dice.below(2);
                    match whom {
                        0 => test.place.kill_and_start_again().await?,
                        _ => kill_database(test).await?,
                    }
                    if let Some(count) = kills.get_mut(whom) {
                        *count += 1;
                    }
                    // Between half as long and half as long again.
                    next_kill = Instant::now() + delivery.kill_every.mul_f64(0.5 + dice.share()).max(RECOVERY);
                }
            }
        }
    }
    let took = begun.elapsed();
    // Nobody writes any more. Readers hear of what they do not have, or they were told too seldom.
    let truth = verdict::truth(test).await?;
    let deadline = Instant::now() + LAST_CALL;
    while Instant::now() < deadline && readers.iter().any(|(reader, _)| reader.misses(&truth) > 0) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    test.is_over.store(true, Ordering::Relaxed);
    for (_, task) in &readers {
        task.abort();
    }
    let readers: Vec<_> = readers.into_iter().map(|(reader, _)| reader).collect();
    let findings = store::doctor::examine(&test.place.db).await.map_err(|error| error.to_string())?;
    Ok(verdict::judge(test, &truth, findings.len(), &readers, kills, took))
}

/// Kills all of PostgreSQL, or one of its processes; it starts itself again.
async fn kill_database(test: &Test) -> Result<(), String> {
    let process = test.place.postmaster().await.ok_or("the database's process is not known")?;
    kill(Pid::from_raw(process), Signal::SIGKILL).map_err(|error| format!("the database cannot be killed: {error}"))?;
    test.place.await_ready().await
}

fn show(test: &Test, delivery: &Delivery, begun: Instant, kills: [usize; 2]) {
    let mut stderr = std::io::stderr();
    if delivery.json || !stderr.is_terminal() {
        return;
    }
    let written = test.written.load(Ordering::Relaxed);
    let done = match delivery.duration {
        Some(duration) => begun.elapsed().as_secs_f64() / duration.as_secs_f64(),
        #[allow(clippy::cast_precision_loss)]
        None => written as f64 / delivery.messages.max(1) as f64,
    };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bar = "#".repeat((done.min(1.0) * 30.0) as usize);
    let retries = test.retries.load(Ordering::Relaxed);
    let [servers, databases] = kills;
    let _ = write!(stderr, "\r[{bar:<30}] {written} messages, {retries} retries, killed: server {servers}, database {databases} ");
    let _ = stderr.flush();
}
