//! What is tested: nodes on one scratch PostgreSQL, NATS between them, and what was done to them when.

use std::{
    ffi::OsStr,
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::Stdio,
    str::FromStr,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::postgres::PgConnectOptions;
use tokio::process::{Child, Command};

use super::postgres::Postgres;
use crate::{
    bench::{
        place::{await_ready, free_address, scratch_directory, serve},
        requests::Signer,
    },
    settings::Settings,
    store::Db,
};

/// A node that was asked to end gets so long.
const STOPPING: Duration = Duration::from_secs(20);
/// A node has to be ready in this time, however often it has to be started.
const STARTING: Duration = Duration::from_secs(30);
/// A node that ended by itself is started again after this.
const RESTART: Duration = Duration::from_millis(200);
/// It is calm when nothing was done for so long.
const CALM: Duration = Duration::from_secs(2);

/// Nodes, their database, and NATS.
pub struct Cluster {
    /// Signs for everyone: all users have one key.
    pub signer: Signer,
    /// The database.
    pub postgres: tokio::sync::Mutex<Postgres>,
    /// A connection of our own to it.
    pub db: Db,
    /// Since when its nodes run, about.
    pub started: Instant,
    nodes: Vec<Node>,
    nats: Option<Nats>,
    dir: PathBuf,
    database_url: String,
    /// The last one.
    disturbance: Mutex<Option<Disturbance>>,
    cuts: AtomicU64,
    retries: AtomicUsize,
}

struct Node {
    address: SocketAddr,
    log: PathBuf,
    child: tokio::sync::Mutex<Option<Child>>,
    is_running: AtomicBool,
}

struct Nats {
    address: SocketAddr,
    child: tokio::sync::Mutex<Option<Child>>,
}

/// Something that keeps clients waiting.
#[derive(Debug, Clone, Copy)]
struct Disturbance {
    ended: Option<Instant>,
}

impl Cluster {
    /// Starts all of it.
    pub async fn start(nodes: usize, has_nats: bool, settings: &Settings) -> Result<Self, String> {
        let dir = scratch_directory("parlance-selftest")?;
        let started = Self::start_in(dir.clone(), nodes, has_nats, settings).await;
        if started.is_err() {
            let _ = fs::remove_dir_all(&dir);
        }
        started
    }

    async fn start_in(dir: PathBuf, nodes: usize, has_nats: bool, settings: &Settings) -> Result<Self, String> {
        let free = || free_address().map_err(|error| error.to_string());
        let node = |number: usize| {
            let (address, log) = (free()?, dir.join(format!("node-{number}.log")));
            Ok(Node { address, log, child: tokio::sync::Mutex::default(), is_running: AtomicBool::new(false) })
        };
        let nodes = (0..nodes).map(node).collect::<Result<Vec<_>, String>>()?;
        let nats = if has_nats { Some(Nats { address: free()?, child: tokio::sync::Mutex::default() }) } else { None };
        let signer = Signer::new("selftest")?;
        let postgres = Postgres::start(&dir, settings).await?;
        let database_url = postgres.url.clone();
        let db = Db::new(PgConnectOptions::from_str(&database_url).map_err(|error| error.to_string())?, 1);
        let mut cluster = Self {
            signer,
            postgres: tokio::sync::Mutex::new(postgres),
            db,
            started: Instant::now(),
            nodes,
            nats,
            dir,
            database_url,
            disturbance: Mutex::default(),
            cuts: AtomicU64::new(0),
            retries: AtomicUsize::new(0),
        };
        match cluster.start_all().await {
            Ok(()) => {
                cluster.started = Instant::now();
                Ok(cluster)
            }
            Err(sentence) => {
                cluster.end().await?;
                Err(sentence)
            }
        }
    }

    async fn start_all(&self) -> Result<(), String> {
        self.start_nats().await?;
        for node in 0..self.size() {
            self.start_node(node).await?;
            self.await_ready(node).await?;
        }
        Ok(())
    }

    /// How many nodes there are, whether they run or not.
    pub fn size(&self) -> usize {
        self.nodes.len()
    }

    /// Whether NATS is between them.
    pub fn has_nats(&self) -> bool {
        self.nats.is_some()
    }

    /// Where a node listens.
    pub fn address(&self, node: usize) -> Option<SocketAddr> {
        self.nodes.get(node).map(|node| node.address)
    }

    /// What a request to a node names as its host.
    pub fn host(&self, node: usize) -> String {
        self.address(node).map(|address| address.to_string()).unwrap_or_default()
    }

    /// This node (counted round), or if it was stopped, the next that runs.
    pub fn one_that_runs(&self, wanted: usize) -> usize {
        let nodes = (wanted..wanted + self.size()).map(|node| node % self.size().max(1));
        let runs = |node: &usize| self.nodes.get(*node).is_some_and(|node| node.is_running.load(Ordering::Relaxed));
        nodes.clone().find(runs).unwrap_or(wanted % self.size().max(1))
    }

    /// Starts a node, and does not wait for it.
    pub async fn start_node(&self, number: usize) -> Result<(), String> {
        let node = self.nodes.get(number).ok_or("no such node")?;
        let nats = self.nats.as_ref().map(|nats| format!("nats://{}", nats.address));
        let mut environment = vec![
            ("DATABASE_URL", OsStr::new(&self.database_url)),
            ("REGISTRATION", OsStr::new("open")),
            ("REGISTRATIONS", OsStr::new("100000")),
        ];
        environment.extend(nats.as_ref().map(|url| ("NATS_URL", OsStr::new(url))));
        *node.child.lock().await = Some(serve(&self.dir, &node.log, node.address, &environment)?);
        Ok(())
    }

    /// Waits until a node can serve. One that ends because the database is not there yet is started again, as an operator's
    /// supervisor would do.
    pub async fn await_ready(&self, number: usize) -> Result<(), String> {
        let node = self.nodes.get(number).ok_or("no such node")?;
        let deadline = Instant::now() + STARTING;
        loop {
            let has_ended = {
                let mut child = node.child.lock().await;
                let Some(child) = child.as_mut() else { return Ok(()) };
                match await_ready(node.address, child, &node.log).await {
                    Ok(()) => {
                        node.is_running.store(true, Ordering::Relaxed);
                        return Ok(());
                    }
                    Err(sentence) if Instant::now() > deadline => return Err(sentence),
                    Err(_) => child.try_wait().ok().flatten().is_some(),
                }
            };
            if has_ended {
                tokio::time::sleep(RESTART).await;
                self.start_node(number).await?;
            }
        }
    }

    /// Waits until all nodes that were not ended can serve.
    pub async fn await_all_ready(&self) -> Result<(), String> {
        for node in 0..self.size() {
            self.await_ready(node).await?;
        }
        Ok(())
    }

    /// Sends a node a signal.
    pub async fn signal_node(&self, number: usize, signal: Signal) {
        if let Some(node) = self.nodes.get(number) {
            send(node.child.lock().await.as_ref(), signal);
        }
    }

    /// Ends a node in this way, and waits until it has gone.
    pub async fn end_node(&self, number: usize, signal: Signal) -> Result<(), String> {
        let node = self.nodes.get(number).ok_or("no such node")?;
        node.is_running.store(false, Ordering::Relaxed);
        if let Some(mut child) = node.child.lock().await.take() {
            send(Some(&child), signal);
            if tokio::time::timeout(STOPPING, child.wait()).await.is_err() {
                let _ = child.kill().await;
                return Err(format!("a node did not end within {STOPPING:?} of {signal}"));
            }
        }
        Ok(())
    }

    /// Starts NATS, if it is wanted.
    pub async fn start_nats(&self) -> Result<(), String> {
        let Some(nats) = &self.nats else { return Ok(()) };
        let mut command = Command::new("nats-server");
        command.args(["-a", &nats.address.ip().to_string(), "-p", &nats.address.port().to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        *nats.child.lock().await = Some(command.spawn().map_err(|error| format!("nats-server cannot be started: {error}"))?);
        Ok(())
    }

    /// Sends NATS a signal.
    pub async fn signal_nats(&self, signal: Signal) {
        if let Some(nats) = &self.nats {
            send(nats.child.lock().await.as_ref(), signal);
        }
    }

    /// Kills NATS.
    pub async fn kill_nats(&self) {
        if let Some(nats) = &self.nats
            && let Some(mut child) = nats.child.lock().await.take()
        {
            let _ = child.kill().await;
        }
    }

    /// Cuts the connections of all clients.
    pub fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }

    /// How often connections were cut.
    pub fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// A request was sent again.
    pub fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were sent again.
    pub fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }

    /// From now on clients may have to wait.
    pub fn disturb(&self) {
        *self.disturbance() = Some(Disturbance { ended: None });
    }

    /// Nothing keeps clients waiting any more.
    pub fn disturbed(&self) {
        *self.disturbance() = Some(Disturbance { ended: Some(Instant::now()) });
    }

    /// For how long someone who waits since a moment has had no reason to: `None`, while there is one. And whether there was
    /// none shortly before that moment, either.
    pub fn undisturbed(&self, since: Instant) -> (Option<Duration>, bool) {
        match *self.disturbance() {
            Some(Disturbance { ended: None }) => (None, false),
            Some(Disturbance { ended: Some(ended) }) => (Some(since.max(ended).elapsed()), ended + CALM < since),
            None => (Some(since.elapsed()), true),
        }
    }

    /// Waits until it is calm: what was asked before, and not answered, is carried out by then, or never.
    pub async fn await_calm(&self) {
        let begun = Instant::now();
        while self.undisturbed(begun).0.is_none_or(|calm| calm < CALM) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn disturbance(&self) -> MutexGuard<'_, Option<Disturbance>> {
        self.disturbance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all of it, and removes it.
    pub async fn end(&self) -> Result<(), String> {
        self.db.close().await;
        for node in 0..self.size() {
            self.signal_node(node, Signal::SIGCONT).await;
            let _ = self.end_node(node, Signal::SIGTERM).await;
        }
        self.kill_nats().await;
        self.postgres.lock().await.stop().await;
        fs::remove_dir_all(&self.dir).map_err(|error| format!("{} cannot be removed: {error}", self.dir.display()))
    }
}

fn send(child: Option<&Child>, signal: Signal) {
    if let Some(process) = child.and_then(Child::id).and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(process), signal);
    }
}
