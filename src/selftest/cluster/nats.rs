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

/// A NATS server of our own.
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

    /// As nodes take it.
    pub(super) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// Whether it was started, and not killed since.
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Starts it. That it serves shows in what nodes say of their bus.
    pub(super) async fn start(&self) -> Result<(), String> {
        let mut command = Command::new("nats-server");
        command.args([
            "-a",
            &self.address.ip().to_string(),
            "-p",
            &self.address.port().to_string(),
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // A Ctrl-C in the terminal is ours to answer.
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
        self.is_up.store(false, Ordering::Relaxed);
        if let Some(mut child) = self.child.lock().await.take() {
            let _ = child.kill().await;
        }
    }
}
