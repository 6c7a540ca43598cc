//! Starting nodes, waiting for them, and ending them.

use std::{ffi::OsStr, sync::atomic::Ordering, time::Instant};

use nix::sys::signal::Signal;

use super::{
    Cluster, STARTING,
    nats::Nats,
    node::{Node, Start},
};
use crate::{bench::scratch::UNLIMITED, selftest::findings::Kind};

impl Cluster {
    /// Starts a node, and does not wait for it.
    pub(in crate::selftest) async fn start_node(&self, number: usize) -> Result<(), String> {
        self.with_start(async |start| self.node(number)?.start(start).await)
            .await
    }

    /// Waits until a node is ready and, with NATS, connected to its bus. An end that was not requested is a finding.
    pub(in crate::selftest) async fn await_ready(&self, number: usize) -> Result<(), String> {
        // One deadline for all restarts: a node that crashes at every start must not go on for ever.
        let (node, deadline) = (self.node(number)?, Instant::now() + STARTING);
        self.with_start(async |start| {
            node.await_ready(start, deadline, |says| self.count_crash(number, &says))
                .await
        })
        .await
    }

    /// Waits until a node is ready, connected to its bus or not.
    pub(in crate::selftest) async fn await_ready_without_bus(
        &self,
        number: usize,
    ) -> Result<(), String> {
        let (node, deadline) = (self.node(number)?, Instant::now() + STARTING);
        let await_ready = async |start: &Start<'_>| {
            let start = Start {
                says: None,
                ..*start
            };
            node.await_ready(&start, deadline, |says| self.count_crash(number, &says))
                .await
        };
        self.with_start(await_ready).await
    }

    /// Waits until all nodes are ready.
    pub(in crate::selftest) async fn await_all_ready(&self) -> Result<(), String> {
        for node in 0..self.size() {
            self.await_ready(node).await?;
        }
        Ok(())
    }

    /// Sends a node a signal.
    pub(in crate::selftest) async fn signal_node(
        &self,
        number: usize,
        signal: Signal,
    ) -> Result<(), String> {
        self.node(number)?.signal(signal).await
    }

    /// Sends a node a signal that ends it, and waits for its end. Clients stop using it before.
    pub(in crate::selftest) async fn end_node(
        &self,
        number: usize,
        signal: Signal,
    ) -> Result<(), String> {
        self.node(number)?
            .end(signal, |says| self.count_crash(number, &says))
            .await
    }

    pub(super) fn node(&self, number: usize) -> Result<&Node, String> {
        Ok(self.nodes.get(number).ok_or("no such node")?)
    }

    async fn with_start<T>(&self, work: impl AsyncFnOnce(&Start<'_>) -> T) -> T {
        let url = self.nats.as_ref().map(Nats::url);
        // Users register over the wire, and all of them from one address.
        let mut environment = vec![
            ("DATABASE_URL", OsStr::new(&self.database_url)),
            ("REGISTRATION", OsStr::new("open")),
            ("REGISTRATIONS", OsStr::new("100000")),
        ];
        environment.extend(UNLIMITED.map(|(name, value)| (name, OsStr::new(value))));
        environment.extend(url.as_ref().map(|url| ("NATS_URL", OsStr::new(url))));
        // A node serves without its bus as well, but tells others of a message only at the next heartbeat.
        let says = self
            .nats
            .as_ref()
            .is_some_and(Nats::is_up)
            .then_some("bus: connected");
        let may_end = self.is_database_disturbed.load(Ordering::Relaxed);
        work(&Start {
            dir: &self.dir,
            environment: &environment,
            says,
            may_end,
        })
        .await
    }

    fn count_crash(&self, node: usize, says: &str) {
        self.findings
            .add(Kind::Crashed, || format!("node {node}: {says}"));
    }
}
