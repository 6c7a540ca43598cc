//! What is done to nodes, database and NATS.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Serialize;

use super::{Test, cluster::Cluster, dice::Dice, writer};
use crate::store::scenery::Scenery;

/// So long after it ended nobody takes the database for one that runs.
const NOTICED: Duration = Duration::from_millis(300);

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SIGKILL, and started again.
    NodeKilled,
    /// SIGTERM, and started again.
    NodeTerminated,
    /// SIGSTOP, and SIGCONT some seconds later.
    NodeFrozen,
    /// Ended right after it answered, and not started again for a long time, or ever.
    NodeStaysAway,
    /// SIGKILL to PostgreSQL's first process.
    DatabaseKilled,
    /// SIGSTOP to PostgreSQL's first process, and SIGCONT some seconds later.
    DatabaseFrozen,
    /// SIGKILL to one connection's process: PostgreSQL recovers.
    BackendKilled,
    /// SIGTERM to one connection's process.
    BackendTerminated,
    /// The database is killed, and a node while it recovers.
    KilledInRecovery,
    /// All clients' connections are cut.
    ConnectionsCut,
    /// NATS is killed, and started again.
    NatsKilled,
    /// SIGSTOP to NATS, and SIGCONT some seconds later.
    NatsFrozen,
}

/// The faults that make sense here, in an order that chance decides.
pub fn deck(cluster: &Cluster, stays_away: bool, dice: &mut Dice) -> Vec<Fault> {
    let mut deck = vec![
        Fault::NodeKilled,
        Fault::NodeTerminated,
        Fault::NodeFrozen,
        Fault::DatabaseKilled,
        Fault::DatabaseFrozen,
        Fault::BackendKilled,
        Fault::BackendTerminated,
        Fault::KilledInRecovery,
        Fault::ConnectionsCut,
    ];
    if cluster.has_nats() {
        deck.extend([Fault::NatsKilled, Fault::NatsFrozen]);
    }
    if cluster.size() > 1 && stays_away {
        deck.push(Fault::NodeStaysAway);
    }
    dice.shuffle(&mut deck);
    deck
}

/// How many there were.
pub type Counts = BTreeMap<Fault, usize>;

impl Fault {
    /// For a person.
    pub fn label(self) -> &'static str {
        match self {
            Self::NodeKilled => "node killed",
            Self::NodeTerminated => "node terminated",
            Self::NodeFrozen => "node frozen",
            Self::NodeStaysAway => "node stays away",
            Self::DatabaseKilled => "database killed",
            Self::DatabaseFrozen => "database frozen",
            Self::BackendKilled => "backend killed",
            Self::BackendTerminated => "backend terminated",
            Self::KilledInRecovery => "killed in recovery",
            Self::ConnectionsCut => "connections cut",
            Self::NatsKilled => "NATS killed",
            Self::NatsFrozen => "NATS frozen",
        }
    }

    /// Does it, and waits until all can serve again. A node that stays away is started again once it was away for so long,
    /// or when the time for that is over, not at all.
    pub async fn strike(self, test: &Test, until: Instant, dice: &mut Dice) -> Result<(), String> {
        let cluster = &test.cluster;
        let node = dice.below(cluster.size());
        let moment = Duration::from_millis(500 + u64::try_from(dice.below(test.plan.longest_freeze)).unwrap_or(0));
        if self == Self::NodeStaysAway {
            return stay_away(test, node, until, dice).await;
        }
        cluster.disturb();
        match self {
            Self::NodeKilled | Self::NodeTerminated => {
                cluster.end_node(node, if self == Self::NodeKilled { Signal::SIGKILL } else { Signal::SIGTERM }).await?;
                cluster.start_node(node).await?;
            }
            Self::NodeFrozen => {
                cluster.signal_node(node, Signal::SIGSTOP).await;
                tokio::time::sleep(moment).await;
                cluster.signal_node(node, Signal::SIGCONT).await;
            }
            Self::DatabaseKilled => {
                cluster.postgres.lock().await.signal(Signal::SIGKILL)?;
                tokio::time::sleep(NOTICED).await;
            }
            Self::DatabaseFrozen => {
                cluster.postgres.lock().await.signal(Signal::SIGSTOP)?;
                tokio::time::sleep(moment).await;
                cluster.postgres.lock().await.signal(Signal::SIGCONT)?;
            }
            Self::BackendKilled => {
                end_backend(cluster, Signal::SIGKILL, dice).await?;
                tokio::time::sleep(NOTICED).await;
            }
            Self::BackendTerminated => end_backend(cluster, Signal::SIGTERM, dice).await?,
            Self::KilledInRecovery => {
                cluster.postgres.lock().await.signal(Signal::SIGKILL)?;
                tokio::time::sleep(moment / 4).await;
                cluster.end_node(node, Signal::SIGKILL).await?;
                cluster.start_node(node).await?;
            }
            Self::NatsKilled => {
                cluster.kill_nats().await;
                tokio::time::sleep(moment).await;
                cluster.start_nats().await?;
            }
            Self::NatsFrozen => {
                cluster.signal_nats(Signal::SIGSTOP).await;
                tokio::time::sleep(moment).await;
                cluster.signal_nats(Signal::SIGCONT).await;
            }
            Self::ConnectionsCut | Self::NodeStaysAway => cluster.cut(),
        }
        cluster.await_all_ready().await?;
        cluster.disturbed();
        Ok(())
    }
}

/// Ends a node right after it answered a few last messages, each in a quiet conversation, so that little else tells of them.
async fn stay_away(test: &Test, node: usize, until: Instant, dice: &mut Dice) -> Result<(), String> {
    writer::last_words(test, node, dice).await;
    test.cluster.disturb();
    // An end in order tells others less than one by force, and one by force more than what is frozen meanwhile hears.
    let (signal, freezes) = match dice.below(4) {
        0 | 1 => (Signal::SIGTERM, false),
        2 => (Signal::SIGKILL, false),
        _ => (Signal::SIGKILL, true),
    };
    let other = (node + 1) % test.cluster.size().max(1);
    if freezes {
        test.cluster.signal_node(other, Signal::SIGSTOP).await;
    }
    test.cluster.end_node(node, signal).await?;
    if freezes {
        tokio::time::sleep(test.plan.stays_away).await;
        test.cluster.signal_node(other, Signal::SIGCONT).await;
        test.cluster.await_ready(other).await?;
    }
    test.cluster.disturbed();
    let away = test.plan.stays_away.mul_f64(1.0 + dice.share());
    if Instant::now() + away > until {
        return Ok(());
    }
    tokio::time::sleep(away).await;
    test.cluster.disturb();
    test.cluster.start_node(node).await?;
    test.cluster.await_ready(node).await?;
    test.cluster.disturbed();
    Ok(())
}

/// Ends the process of one of the nodes' connections.
async fn end_backend(cluster: &Cluster, signal: Signal, dice: &mut Dice) -> Result<(), String> {
    let failed = |error: sqlx::Error| format!("the database's connections are not known: {error}");
    let backends = Scenery::begin(&cluster.db).await.map_err(failed)?.other_backends().await.map_err(failed)?;
    if let Some(backend) = dice.pick(&backends) {
        // It may have ended meanwhile.
        let _ = kill(Pid::from_raw(*backend), signal);
    }
    Ok(())
}
