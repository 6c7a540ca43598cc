//! The system under test: nodes on one scratch PostgreSQL, NATS between them, and when something was done to them.

mod nats;
mod node;
mod nodes;
mod postgres;

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    str::FromStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use parlance_client::keys::KeyPair;
use sqlx::postgres::PgConnectOptions;
use tokio::{process::Child, sync::watch};

use self::{nats::Nats, node::Node, postgres::Postgres};
use super::{
    disturbances::{Disturbances, Wait},
    findings::Findings,
    plan::Setting,
    watchdog::Watchdog,
};
use crate::{
    bench::scratch::{free_address, scratch_directory},
    settings::Settings,
    store::Db,
};

/// Maximum time until a node is ready, however often it has to be started.
const STARTING: Duration = Duration::from_secs(30);
/// Maximum time in which PostgreSQL creates its cluster and starts.
const DATABASE_STARTS: Duration = Duration::from_mins(3);
const TICK: Duration = Duration::from_millis(100);

/// Nodes, their database, and NATS.
pub(super) struct Cluster {
    /// Signs for every user: all have one key.
    pub key: KeyPair,
    pub postgres: tokio::sync::Mutex<Postgres>,
    /// A connection of our own to it.
    pub db: Db,
    /// The findings so far.
    pub findings: Findings,
    nodes: Vec<Node>,
    nats: Option<Nats>,
    dir: PathBuf,
    database_url: String,
    disturbances: Mutex<Disturbances>,
    is_database_disturbed: AtomicBool,
    // A counter, and not a flag: a client that was busy at that moment still sees that there was a cut.
    cuts: watch::Sender<u64>,
    retries: AtomicUsize,
    /// Ends a run that makes no progress.
    pub watchdog: Watchdog,
}

impl Cluster {
    /// A cluster in a new directory, not started yet. It has to be ended, whatever becomes of it.
    pub(super) fn new(setting: Setting, settings: &Settings) -> Result<Self, String> {
        let dir = scratch_directory("parlance-selftest")?;
        let made = Self::in_directory(dir.clone(), setting, settings);
        if made.is_err() {
            // The error that is returned matters more.
            let _ = fs::remove_dir_all(&dir);
        }
        made
    }

    fn in_directory(dir: PathBuf, setting: Setting, settings: &Settings) -> Result<Self, String> {
        // For the whole run: clients, and the other node, have to find a node again after it was restarted.
        let free = || free_address().map_err(|error| error.to_string());
        let node = |number: usize| Ok(Node::new(free()?, dir.join(format!("node-{number}.log"))));
        let nodes = (0..setting.nodes)
            .map(node)
            .collect::<Result<Vec<_>, String>>()?;
        let nats = if setting.has_nats {
            Some(Nats::new(free()?))
        } else {
            None
        };
        let key = KeyPair::generate().map_err(|error| error.to_string())?;
        let postgres = Postgres::begin(&dir, settings)?;
        let database_url = postgres.url.clone();
        let db = Db::new(
            PgConnectOptions::from_str(&database_url).map_err(|error| error.to_string())?,
            1,
        );
        Ok(Self {
            key,
            postgres: tokio::sync::Mutex::new(postgres),
            db,
            findings: Findings::default(),
            nodes,
            nats,
            dir,
            database_url,
            disturbances: Mutex::default(),
            is_database_disturbed: AtomicBool::new(false),
            cuts: watch::Sender::new(0),
            retries: AtomicUsize::new(0),
            watchdog: Watchdog::new("PostgreSQL to start", DATABASE_STARTS),
        })
    }

    /// Starts all of it.
    pub(super) async fn start(&self) -> Result<(), String> {
        self.postgres.lock().await.await_started().await?;
        self.start_nats().await?;
        self.watchdog.expect("the nodes to start", STARTING * 3);
        for node in 0..self.size() {
            // One after the other: the first one migrates the database.
            self.start_node(node).await?;
            self.await_ready(node).await?;
        }
        Ok(())
    }

    /// Number of nodes, running or not.
    pub(super) fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Returns `true` when NATS connects them.
    pub(super) fn has_nats(&self) -> bool {
        self.nats.is_some()
    }

    /// A node's address.
    pub(super) fn address(&self, node: usize) -> Option<SocketAddr> {
        self.nodes.get(node).map(|node| node.address)
    }

    /// Returns `true` when a node has become ready, and was not ended since.
    pub(super) fn is_running(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(Node::is_running)
    }

    /// This node (modulo their number) or, if it was ended, the next one that runs.
    pub(super) fn one_that_runs(&self, wanted: usize) -> usize {
        let mut nodes = (wanted..wanted + self.size()).map(|node| node % self.size().max(1));
        // If none runs, any will do: the request fails, and is repeated.
        nodes
            .find(|node| self.is_running(*node))
            .unwrap_or(wanted % self.size().max(1))
    }

    /// Starts NATS, if it is wanted.
    pub(super) async fn start_nats(&self) -> Result<(), String> {
        match &self.nats {
            Some(nats) => nats.start().await,
            None => Ok(()),
        }
    }

    /// Sends NATS a signal.
    pub(super) async fn signal_nats(&self, signal: Signal) -> Result<(), String> {
        self.nats
            .as_ref()
            .ok_or("there is no NATS")?
            .signal(signal)
            .await
    }

    pub(super) async fn kill_nats(&self) {
        if let Some(nats) = &self.nats {
            nats.kill().await;
        }
    }

    /// Cuts the connections of all clients.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Notifies of each further cut.
    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }

    /// Counts a request that is repeated.
    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of requests that were repeated.
    pub(super) fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }

    /// From now on clients may have to wait. `of_database`: for the database, too, without which no node starts.
    pub(super) fn disturb(&self, of_database: bool) {
        self.is_database_disturbed
            .store(of_database, Ordering::Relaxed);
        self.disturbances().begin(Instant::now());
    }

    /// Ends the disturbance.
    pub(super) fn disturbed(&self) {
        self.is_database_disturbed.store(false, Ordering::Relaxed);
        self.disturbances().end(Instant::now());
    }

    /// How long a client has waited since a moment.
    pub(super) fn wait_since(&self, moment: Instant) -> Wait {
        self.disturbances().wait(moment, Instant::now())
    }

    /// For how long nothing has disturbed the cluster, counted from a moment at the earliest.
    pub(super) fn calm_since(&self, moment: Instant) -> Duration {
        self.disturbances()
            .calm_for(moment, Instant::now())
            .unwrap_or_default()
    }

    /// Waits until nothing has disturbed the cluster for this long.
    pub(super) async fn await_calm(&self, calm: Duration) {
        let begun = Instant::now();
        while self.calm_since(begun) < calm {
            tokio::time::sleep(TICK).await;
        }
    }

    fn disturbances(&self) -> MutexGuard<'_, Disturbances> {
        self.disturbances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all of it. With `keeps`, its directory stays, with the logs of nodes and database, and is returned.
    pub(super) async fn end(&self, keeps: bool) -> Result<Option<PathBuf>, String> {
        self.db.close().await;
        // A frozen PostgreSQL cannot be shut down.
        self.postgres.lock().await.thaw();
        for node in &self.nodes {
            // If one cannot be ended, the others still have to be.
            let _ = node.end(Signal::SIGKILL, |_| {}).await;
        }
        // The database last: without it, nodes would log errors that look like findings.
        self.kill_nats().await;
        self.postgres.lock().await.stop().await;
        if keeps {
            return Ok(Some(self.dir.clone()));
        }
        fs::remove_dir_all(&self.dir)
            .map_err(|error| format!("{} cannot be removed: {error}", self.dir.display()))?;
        Ok(None)
    }
}

fn send(child: Option<&Child>, signal: Signal) -> Result<(), String> {
    let process = child
        .and_then(Child::id)
        .and_then(|id| i32::try_from(id).ok())
        .ok_or("a process that is sent a signal does not run")?;
    kill(Pid::from_raw(process), signal)
        .map_err(|error| format!("a process cannot be sent {signal}: {error}"))
}
