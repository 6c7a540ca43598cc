//! One node: a server's process, its address, and its log.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::{process::Child, sync::Mutex};

use super::send;
use crate::bench::scratch::{await_ready, log_end, serve};

/// Maximum time for a node to end; the server allows itself nine seconds.
const STOPPING: Duration = Duration::from_secs(20);
/// Pause before a node that ended by itself is started again.
const RESTART: Duration = Duration::from_millis(200);

/// A node, whether it runs or not.
pub(super) struct Node {
    pub address: SocketAddr,
    log: PathBuf,
    process: Mutex<Option<Process>>,
    is_running: AtomicBool,
}

struct Process {
    child: Child,
    /// It has served.
    was_ready: bool,
}

/// The arguments of a node's start.
pub(super) struct Start<'a> {
    pub dir: &'a Path,
    pub environment: &'a [(&'a str, &'a OsStr)],
    /// The line that it reports once it is ready.
    pub says: Option<&'a str>,
    /// It may end before it is ready, because the database is away.
    pub may_end: bool,
}

impl Node {
    /// Not started yet.
    pub(super) fn new(address: SocketAddr, log: PathBuf) -> Self {
        Self {
            address,
            log,
            process: Mutex::default(),
            is_running: AtomicBool::new(false),
        }
    }

    /// Returns `true` when it has become ready, and was not ended since.
    pub(super) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    /// Starts it, and does not wait for it.
    pub(super) async fn start(&self, start: &Start<'_>) -> Result<(), String> {
        let child = serve(start.dir, &self.log, self.address, start.environment)?;
        *self.process.lock().await = Some(Process {
            child,
            was_ready: false,
        });
        Ok(())
    }

    /// Waits until it is ready. One that ends is started again, as an operator's supervisor would do; `crashed` is
    /// called for each end that was not requested.
    pub(super) async fn await_ready(
        &self,
        start: &Start<'_>,
        deadline: Instant,
        crashed: impl Fn(String),
    ) -> Result<(), String> {
        loop {
            {
                let mut process = self.process.lock().await;
                let process = process
                    .as_mut()
                    .ok_or("a node that is to be ready was not started")?;
                match await_ready(
                    self.address,
                    &mut process.child,
                    &self.log,
                    deadline,
                    start.says,
                )
                .await
                {
                    Ok(()) => {
                        process.was_ready = true;
                        self.is_running.store(true, Ordering::Relaxed);
                        return Ok(());
                    }
                    Err(sentence) if Instant::now() > deadline => return Err(sentence),
                    // While the database is away, a node that starts gives up: that is documented, and no finding.
                    Err(sentence) if process.was_ready || !start.may_end => crashed(sentence),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(RESTART).await;
            self.start(start).await?;
        }
    }

    /// Sends it a signal.
    pub(super) async fn signal(&self, signal: Signal) -> Result<(), String> {
        send(
            self.process
                .lock()
                .await
                .as_ref()
                .map(|process| &process.child),
            signal,
        )
    }

    /// Ends it by a signal, and waits for its end. Clients stop using it before. `crashed` is called if it had ended
    /// already.
    pub(super) async fn end(&self, signal: Signal, crashed: impl Fn(String)) -> Result<(), String> {
        // Before the signal: a client must not take a connection that is refused for a fault of the server.
        self.is_running.store(false, Ordering::Relaxed);
        let Some(Process {
            mut child,
            was_ready,
        }) = self.process.lock().await.take()
        else {
            return Ok(());
        };
        // A crash is a finding, even if the test was about to kill the node anyway.
        if let Ok(Some(status)) = child.try_wait() {
            if was_ready {
                crashed(format!(
                    "ended by itself ({status}); the end of its log:\n{}",
                    log_end(&self.log)
                ));
            }
            return Ok(());
        }
        send(Some(&child), signal)?;
        if tokio::time::timeout(STOPPING, child.wait()).await.is_err() {
            // Nothing may stay behind, also when the server does not keep its promise to stop.
            let _ = child.kill().await;
            return Err(format!(
                "a node did not end within {STOPPING:?} of {signal}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_node_that_ended_by_itself_is_told_of_and_one_that_was_ended_is_not() {
        let crashes = AtomicUsize::new(0);
        let end = async |program: &str, was_ready, is_awaited| {
            let node = Node::new(([127, 0, 0, 1], 1).into(), "no log".into());
            let mut child = Command::new("sh").args(["-c", program]).spawn().unwrap();
            if is_awaited {
                child.wait().await.unwrap();
            }
            *node.process.lock().await = Some(Process { child, was_ready });
            node.end(Signal::SIGKILL, |says| {
                assert!(says.contains("exit status: 3"), "{says}");
                crashes.fetch_add(1, Ordering::Relaxed);
            })
            .await
            .unwrap();
            crashes.load(Ordering::Relaxed)
        };
        assert_eq!(end("exec sleep 60", true, false).await, 0);
        // It was never ready: who waited for that has been told.
        assert_eq!(end("exit 3", false, true).await, 0);
        assert_eq!(end("exit 3", true, true).await, 1);
    }
}
