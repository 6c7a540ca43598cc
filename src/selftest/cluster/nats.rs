//! The NATS between two nodes.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
};

use nix::sys::signal::Signal;
use tokio::{
    process::{Child, Command},
    sync::Mutex,
};

use super::send;

/// A NATS server that the test runs.
pub(super) struct Nats {
    address: SocketAddr,
    child: Mutex<Option<Child>>,
    is_up: AtomicBool,
}

impl Nats {
    /// Not started yet.
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            child: Mutex::default(),
            is_up: AtomicBool::new(false),
        }
    }

    /// Its address, in the form of `NATS_URL`.
    pub(super) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Returns `true` when it was started, and not killed since.
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Starts it. Whether it serves shows in what nodes report of their bus.
    pub(super) async fn start(&self) -> Result<(), String> {
        let mut command = Command::new("nats-server");
        command.args([
            "-a",
            &self.address.ip().to_string(),
            "-p",
            &self.address.port().to_string(),
        ]);
        command
            // Its log tells nothing that the nodes' own lines about their bus do not.
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Ctrl-C in the terminal must not end it before the nodes: their errors would look like findings.
        command.process_group(0);
        *self.child.lock().await = Some(
            command
                .spawn()
                .map_err(|error| format!("nats-server cannot be started: {error}"))?,
        );
        self.is_up.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Sends it a signal.
    pub(super) async fn signal(&self, signal: Signal) -> Result<(), String> {
        send(self.child.lock().await.as_ref(), signal)
    }

    pub(super) async fn kill(&self) {
        // First: nodes that are started from now on cannot report a connection.
        self.is_up.store(false, Ordering::Relaxed);
        if let Some(mut child) = self.child.lock().await.take() {
            let _ = child.kill().await;
        }
    }
}
