//! Quiet rounds: a few last words are written where nothing else happens, the node that answered them ends and stays away,
//! each poller loses an answer; and everybody has to be told all the same.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use nix::sys::signal::Signal;
use serde::Serialize;

use super::{
    Test, channel::Channel, faults, follower::Follower, judge, phase::await_told, plan::Setting,
    rng::Rng, writer,
};
use crate::store;

/// So long after they started, two nodes know each other, and have no reason to make anybody compare everything.
const INTRODUCTION: Duration = Duration::from_secs(7);
/// So long after the last fault, nothing of it tells anyone anything any more.
const SETTLES: Duration = store::COMMIT_SETTLED_AFTER.saturating_add(Duration::from_secs(1));
const TICK: Duration = Duration::from_millis(100);
/// Everything of one round but its waits for calm takes no longer.
const ROUND: Duration = Duration::from_mins(3);

/// How the node ends that answered the last words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// Not at all: there is no other, or nothing is to be broken.
    None,
    /// In order, by SIGTERM: it tells others less than an end by force.
    Terminated,
    /// By SIGKILL, while the other node is frozen.
    KilledWhileOtherFrozen,
    /// By SIGKILL, while PostgreSQL is frozen.
    KilledWithoutDatabase,
    /// In order, after NATS was killed.
    TerminatedWithoutNats,
}

impl Ending {
    /// How many kinds of ends there are.
    pub(crate) const COUNT: u32 = 4;

    /// Those that make sense in a setting; the first is that of a short run.
    pub(crate) fn of(setting: Setting, has_faults: bool) -> Vec<Self> {
        match setting {
            _ if !has_faults => vec![Self::None],
            Setting { nodes: 1, .. } => vec![Self::None],
            Setting { has_nats: true, .. } => {
                vec![
                    Self::TerminatedWithoutNats,
                    Self::KilledWhileOtherFrozen,
                    Self::KilledWithoutDatabase,
                    Self::Terminated,
                ]
            }
            Setting {
                has_nats: false, ..
            } => vec![
                Self::Terminated,
                Self::KilledWhileOtherFrozen,
                Self::KilledWithoutDatabase,
            ],
        }
    }

    /// For a person.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::None => "no node ends",
            Self::Terminated => "terminated",
            Self::KilledWhileOtherFrozen => "killed while the other is frozen",
            Self::KilledWithoutDatabase => "killed while the database is frozen",
            Self::TerminatedWithoutNats => "terminated without NATS",
        }
    }

    /// Before the last words are written.
    async fn prepare(self, test: &Test) {
        if self == Self::TerminatedWithoutNats {
            test.cluster.kill_nats().await;
        }
    }

    /// Ends the node.
    async fn end(self, test: &Test, node: usize) -> Result<(), String> {
        let cluster = &test.cluster;
        match self {
            Self::None => Ok(()),
            Self::Terminated | Self::TerminatedWithoutNats => {
                cluster.end_node(node, Signal::SIGTERM).await
            }
            Self::KilledWhileOtherFrozen => {
                let other = (node + 1) % cluster.size().max(1);
                cluster.signal_node(other, Signal::SIGSTOP).await?;
                cluster.end_node(node, Signal::SIGKILL).await?;
                tokio::time::sleep(test.plan.stays_away).await;
                cluster.signal_node(other, Signal::SIGCONT).await
            }
            Self::KilledWithoutDatabase => {
                faults::freeze_database(cluster).await?;
                cluster.end_node(node, Signal::SIGKILL).await?;
                tokio::time::sleep(test.plan.stays_away).await;
                cluster.postgres.lock().await.thaw();
                Ok(())
            }
        }
    }
}

/// The first round: fills the large conversation, and waits until everyone knows their conversations.
pub(super) async fn begin(
    test: &Arc<Test>,
    followers: &[Arc<Follower>],
    rng: &mut Rng,
) -> Result<(), String> {
    test.cluster.watchdog.expect(
        "the large conversation to be filled, and everyone to have listed theirs",
        ROUND,
    );
    writer::fill(test.clone(), rng.fork()).await;
    while followers.iter().any(|follower| !follower.has_listed()) {
        tokio::time::sleep(TICK).await;
    }
    if test.cluster.size() > 1 {
        tokio::time::sleep(INTRODUCTION).await;
    }
    await_told(test, followers, rng).await?;
    Ok(())
}

/// Waits until nothing tells anyone anything by chance: after a fault of the database, everybody is told to compare everything
/// once more; and that would tell of last words, too.
pub(super) async fn settle(test: &Test) {
    test.cluster
        .watchdog
        .expect("the end of what faults have caused", SETTLES * 4);
    test.cluster.await_calm(SETTLES).await;
}

/// Says last words, has the node end that answered them, sees that all are told, and starts the node again.
pub(super) async fn round(
    test: &Test,
    ending: Ending,
    followers: &[Arc<Follower>],
    rng: &mut Rng,
) -> Result<(), String> {
    let cluster = &test.cluster;
    cluster
        .watchdog
        .expect(format!("a quiet round ({})", ending.label()), ROUND);
    test.are_pollers_waiting.store(true, Ordering::Relaxed);
    tokio::time::sleep(TICK * 3).await;
    ending.prepare(test).await;
    let node = rng.below(cluster.size());
    writer::last_words(test, node, rng).await;
    if ending != Ending::None {
        cluster.disturb(ending == Ending::KilledWithoutDatabase);
        ending.end(test, node).await?;
        for other in (0..cluster.size()).filter(|other| *other != node) {
            cluster.await_ready_without_bus(other).await?;
        }
        cluster.disturbed();
    }
    for follower in followers {
        match follower.channel {
            Channel::PollV3 | Channel::PollV4 => follower.lose_a_poll(),
            Channel::SocketV3 => follower.forget_the_large_one(),
            Channel::Letter | Channel::Each => {}
        }
    }
    test.are_pollers_waiting.store(false, Ordering::Relaxed);
    // What they are to forget is forgotten when they next look.
    tokio::time::sleep(TICK * 3).await;
    let truths = await_told(test, followers, rng).await?;
    judge::count_misses(test, followers, &truths);
    if ending != Ending::None {
        cluster.disturb(false);
        if ending == Ending::TerminatedWithoutNats {
            cluster.start_nats().await?;
        }
        cluster.start_node(node).await?;
        cluster.await_all_ready().await?;
        cluster.disturbed();
    }
    Ok(())
}
