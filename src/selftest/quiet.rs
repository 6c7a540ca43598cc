//! Quiet rounds: a few last words are written where nothing else happens, the node that answered them ends and stays
//! away, and each poller loses an answer. All readers have to be told nevertheless.

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

/// Time after which two nodes that started know each other, and have no reason to make anyone resync.
const INTRODUCTION: Duration = Duration::from_secs(7);
/// Time after the last fault until none of its consequences notifies anyone any more.
const SETTLES: Duration = store::COMMIT_SETTLED_AFTER.saturating_add(Duration::from_secs(1));
const TICK: Duration = Duration::from_millis(100);
/// Maximum time of a round, without its waits for calm.
const ROUND: Duration = Duration::from_mins(3);

/// How the node that answered the last words ends.
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
    /// Number of endings of a node.
    pub(crate) const COUNT: u32 = 4;

    /// The endings that are possible in a setting; the first is that of a short run.
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

    /// Its name in the report.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::None => "no node ends",
            Self::Terminated => "terminated",
            Self::KilledWhileOtherFrozen => "killed while the other is frozen",
            Self::KilledWithoutDatabase => "killed while the database is frozen",
            Self::TerminatedWithoutNats => "terminated without NATS",
        }
    }

    /// Prepares it, before the last words are written.
    async fn prepare(self, test: &Test) {
        if self == Self::TerminatedWithoutNats {
            // Before the last words, so that no hint of them crosses it.
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
                // Frozen first, and for longer than a node without heartbeats counts as alive: it has to find out
                // afterwards that the other one ended.
                cluster.signal_node(other, Signal::SIGSTOP).await?;
                cluster.end_node(node, Signal::SIGKILL).await?;
                tokio::time::sleep(test.plan.stays_away).await;
                cluster.signal_node(other, Signal::SIGCONT).await
            }
            Self::KilledWithoutDatabase => {
                // Its end cannot be recorded, and its last heartbeat is old when PostgreSQL continues.
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

/// Waits until no notification comes by chance: after a fault of the database every reader resyncs once more, and
/// would find last words by that.
pub(super) async fn settle(test: &Test) {
    test.cluster
        .watchdog
        .expect("the end of what faults have caused", SETTLES * 4);
    test.cluster.await_calm(SETTLES).await;
}

/// Writes last words, ends the node that answered them, checks that all readers are told, and starts the node again.
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
    // A poll that is on its way would still be answered with the last words.
    tokio::time::sleep(TICK * 3).await;
    ending.prepare(test).await;
    let node = rng.below(cluster.size());
    writer::last_words(test, node, rng).await;
    if ending != Ending::None {
        cluster.disturb(ending == Ending::KilledWithoutDatabase);
        ending.end(test, node).await?;
        for other in (0..cluster.size()).filter(|other| *other != node) {
            // Without the bus, because NATS may have been killed.
            cluster.await_ready_without_bus(other).await?;
        }
        // The node stays away while readers are told: its return would make the others resync, and hide the loss.
        cluster.disturbed();
    }
    for follower in followers {
        match follower.channel {
            Channel::PollV3 | Channel::PollV4 => follower.lose_a_poll(),
            // It reads a page that is cut, and is not told that there is more: the server has to notify it of the
            // rest.
            Channel::SocketV3 => follower.forget_the_large_one(),
            Channel::Letter | Channel::Each => {}
        }
    }
    test.are_pollers_waiting.store(false, Ordering::Relaxed);
    // Readers look for these requests between two notifications: before that, they still hold what they are to forget.
    tokio::time::sleep(TICK * 3).await;
    let truths = await_told(test, followers, rng).await?;
    // At once: the next fault makes everyone resync, and heals what was lost.
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
