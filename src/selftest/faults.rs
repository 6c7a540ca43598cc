//! The faults: what is done to nodes, database and NATS.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Serialize;

use super::{Test, cluster::Cluster, quiet::Ending, rng::Rng, writer};
use crate::store::seed::Seeder;

/// Time after which a database that was killed is no longer taken for a running one.
const NOTICED: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
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
    /// SIGSTOP to PostgreSQL's first process and to all connections' processes, and SIGCONT some seconds later.
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

/// The faults that are possible here, in random order.
pub(super) fn deck(cluster: &Cluster, stays_away: bool, rng: &mut Rng) -> Vec<Fault> {
    // A shuffled deck, and not dice: a short run has each kind of fault, too.
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
    rng.shuffle(&mut deck);
    deck
}

/// How often each fault was struck.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub struck: BTreeMap<Fault, usize>,
    /// Faults that could not be struck, by reason.
    pub not_struck: BTreeMap<String, usize>,
    /// Quiet rounds, by how a node ended in them.
    pub quiet_rounds: BTreeMap<Ending, usize>,
}

/// The outcome of a fault.
#[derive(Debug)]
pub(super) enum Struck {
    Done,
    /// It could not be struck, for this reason.
    Not(String),
}

impl Fault {
    /// Its name in the report.
    pub(super) fn label(self) -> &'static str {
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

    /// Strikes, and waits until all nodes are ready again. A node that stays away is started again once it was away
    /// long enough, or when `until` comes.
    pub(super) async fn strike(
        self,
        test: &Test,
        until: Instant,
        rng: &mut Rng,
    ) -> Result<Struck, String> {
        let cluster = &test.cluster;
        let node = rng.below(cluster.size());
        let moment = Duration::from_millis(
            500 + u64::try_from(rng.below(test.plan.longest_freeze)).unwrap_or(0),
        );
        if self == Self::NodeStaysAway {
            stay_away(test, node, until, rng).await?;
            return Ok(Struck::Done);
        }
        // A killed backend counts, too: PostgreSQL then ends all sessions and recovers. One that is terminated ends
        // alone.
        cluster.disturb(matches!(
            self,
            Self::DatabaseKilled
                | Self::DatabaseFrozen
                | Self::BackendKilled
                | Self::KilledInRecovery
        ));
        let struck = self.break_it(cluster, node, moment, rng).await?;
        // Until all are ready, waiting is not the server's fault.
        cluster.await_all_ready().await?;
        cluster.disturbed();
        Ok(struck)
    }

    async fn break_it(
        self,
        cluster: &Cluster,
        node: usize,
        moment: Duration,
        rng: &mut Rng,
    ) -> Result<Struck, String> {
        match self {
            Self::NodeKilled | Self::NodeTerminated => {
                cluster
                    .end_node(
                        node,
                        if self == Self::NodeKilled {
                            Signal::SIGKILL
                        } else {
                            Signal::SIGTERM
                        },
                    )
                    .await?;
                cluster.start_node(node).await?;
            }
            Self::NodeFrozen => {
                cluster.signal_node(node, Signal::SIGSTOP).await?;
                tokio::time::sleep(moment).await;
                cluster.signal_node(node, Signal::SIGCONT).await?;
            }
            Self::DatabaseKilled | Self::KilledInRecovery => {
                let first = cluster.postgres.lock().await.process();
                let killed = first.and_then(|first| {
                    kill(first, Signal::SIGKILL).map_err(|error| error.to_string())
                });
                if let Err(reason) = killed {
                    // Not an error: the fault before may still have the database recovering.
                    return Ok(Struck::Not(reason));
                }
                if self == Self::KilledInRecovery {
                    // Soon, as recovery is short here.
                    tokio::time::sleep(moment / 4).await;
                    cluster.end_node(node, Signal::SIGKILL).await?;
                    cluster.start_node(node).await?;
                } else {
                    tokio::time::sleep(NOTICED).await;
                }
            }
            Self::DatabaseFrozen => {
                if let Err(reason) = freeze_database(cluster).await {
                    return Ok(Struck::Not(reason));
                }
                tokio::time::sleep(moment).await;
                cluster.postgres.lock().await.thaw();
            }
            Self::BackendKilled | Self::BackendTerminated => {
                let signal = if self == Self::BackendKilled {
                    Signal::SIGKILL
                } else {
                    Signal::SIGTERM
                };
                let backends = match backends(cluster).await {
                    Ok(backends) => backends,
                    Err(reason) => return Ok(Struck::Not(reason)),
                };
                let Some(backend) = rng.pick(&backends) else {
                    return Ok(Struck::Not("nodes have no connections".into()));
                };
                if let Err(error) = kill(*backend, signal) {
                    return Ok(Struck::Not(format!("the connection has ended: {error}")));
                }
                tokio::time::sleep(NOTICED).await;
            }
            Self::NatsKilled => {
                cluster.kill_nats().await;
                tokio::time::sleep(moment).await;
                cluster.start_nats().await?;
            }
            Self::NatsFrozen => {
                cluster.signal_nats(Signal::SIGSTOP).await?;
                tokio::time::sleep(moment).await;
                cluster.signal_nats(Signal::SIGCONT).await?;
            }
            Self::ConnectionsCut | Self::NodeStaysAway => cluster.cut(),
        }
        Ok(Struck::Done)
    }
}

/// Ends a node right after it answered a few last messages, each in a quiet conversation, where no later message would
/// reveal them.
async fn stay_away(test: &Test, node: usize, until: Instant, rng: &mut Rng) -> Result<(), String> {
    writer::last_words(test, node, rng).await;
    test.cluster.disturb(false);
    test.cluster
        .end_node(
            node,
            if rng.percent(50) {
                Signal::SIGTERM
            } else {
                Signal::SIGKILL
            },
        )
        .await?;
    // The other node serves: from here on, a notification that is late counts as late.
    test.cluster.disturbed();
    let away = test.plan.stays_away.mul_f64(1.0 + rng.share());
    tokio::time::sleep_until((Instant::now() + away).min(until).into()).await;
    test.cluster.disturb(false);
    test.cluster.start_node(node).await?;
    test.cluster.await_ready(node).await?;
    test.cluster.disturbed();
    Ok(())
}

/// Stops PostgreSQL's first process, and those of the nodes' connections, until they are thawed.
pub(super) async fn freeze_database(cluster: &Cluster) -> Result<(), String> {
    // Before the freeze: after it, PostgreSQL does not answer any more.
    let backends = backends(cluster).await?;
    let mut postgres = cluster.postgres.lock().await;
    let first = postgres.process()?;
    postgres.freeze(first, &backends);
    Ok(())
}

/// The processes of the nodes' connections.
async fn backends(cluster: &Cluster) -> Result<Vec<Pid>, String> {
    let failed = |error: sqlx::Error| format!("the database's connections are not known: {error}");
    let backends = Seeder::connect(&cluster.db)
        .await
        .map_err(failed)?
        .other_backends()
        .await
        .map_err(failed)?;
    Ok(backends.into_iter().map(Pid::from_raw).collect())
}
