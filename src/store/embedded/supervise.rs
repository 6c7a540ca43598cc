//! Keeps one PostgreSQL running: starts it again when it exits or its programs were upgraded, and stops it in the end.

use std::{
    fs::File,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, SemaphorePermit},
    time::{Instant, sleep, timeout},
};

use super::{
    Db, Error, POLL, PREDECESSOR_TIMEOUT, lock, paths::ClusterPaths, postmaster::Postmaster,
    predecessor, programs::Programs,
};

/// A PostgreSQL that ran this long is started again at once; any other after a pause.
const STEADY_AFTER: Duration = Duration::from_secs(10);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Pause after a start that failed.
const SPAWN_PAUSE: Duration = Duration::from_secs(1);
/// Maximum time for which a backup, or a psql prompt, may delay the restart after an upgrade.
const USERS_TIMEOUT: Duration = Duration::from_mins(10);
/// Maximum time for which requests are held back during a restart after an upgrade. Then they are refused.
const RESTART_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL that is kept running.
pub(super) struct Supervisor {
    pub paths: ClusterPaths,
    pub data_dir: PathBuf,
    pub pg_bin: Option<PathBuf>,
    /// This process's own connections.
    pub db: Db,
    pub connections: u32,
    /// How often the running version is compared with the programs on disk. `None`: never, as it runs for one command.
    pub check_every: Option<Duration>,
    pub stopping: AtomicBool,
    pub stop: Notify,
}

/// Why a PostgreSQL that was watched has to be started again.
enum Event {
    Exited,
    Upgraded(Programs),
}

impl Supervisor {
    pub(super) fn spawn(&self, programs: Programs) -> Result<Postmaster, Error> {
        Postmaster::spawn(&self.paths, programs, self.connections)
    }

    /// Asks [`Supervisor::watch`] to shut it down.
    pub(super) fn request_stop(&self) {
        // The flag is for the loop that starts it again, which does not wait for the notification.
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    /// Runs until [`Supervisor::request_stop`].
    pub(super) async fn watch(self: Arc<Self>, mut postmaster: Postmaster) {
        let mut pause = Duration::ZERO;
        loop {
            let started = Instant::now();
            let (running, identity) = (postmaster.programs.clone(), postmaster.identity);
            let mut event = tokio::select! {
                () = self.stop.notified() => return postmaster.shut_down().await,
                () = exited(&mut postmaster) => Event::Exited,
                programs = self.upgraded(&running, identity.as_ref()) => Event::Upgraded(programs),
            };
            let mut exclusive = None;
            if let Event::Upgraded(_) = event {
                tokio::select! {
                    () = self.stop.notified() => return postmaster.shut_down().await,
                    // Its users went with it: there is nothing to wait for.
                    () = exited(&mut postmaster) => event = Event::Exited,
                    held = self.wait_until_unused() => exclusive = Some(held),
                }
            }
            let programs = match event {
                Event::Upgraded(programs) => {
                    tracing::info!(
                        "restarting PostgreSQL: {} ran, {} is installed",
                        postmaster.programs.version,
                        programs.version
                    );
                    postmaster.shut_down().await;
                    programs
                }
                Event::Exited => {
                    // One that exits again and again, as on a full disk, must not fill the log as well.
                    pause = if started.elapsed() > STEADY_AFTER {
                        Duration::ZERO
                    } else {
                        (pause * 2).clamp(POLL, MAX_PAUSE)
                    };
                    tokio::select! {
                        () = self.stop.notified() => return,
                        () = sleep(pause) => {}
                    }
                    self.relocate(postmaster.programs).await
                }
            };
            let Some(next) = self.start_again(programs).await else {
                return;
            };
            postmaster = next;
            // The locks are held until then, so requests wait for a few seconds instead of failing.
            if exclusive.is_some() {
                let options = self.paths.options();
                let ready = postmaster.wait_until_ready(&options);
                if !matches!(timeout(RESTART_TIMEOUT, ready).await, Ok(Ok(()))) {
                    tracing::warn!(
                        "PostgreSQL takes long to start again; requests are refused meanwhile"
                    );
                }
            }
        }
    }

    /// Tries until it runs. Returns `None` when it is to stop instead.
    async fn start_again(&self, programs: Programs) -> Option<Postmaster> {
        // Not bounded: a server without its database cannot do anything else, and may get it back.
        while !self.stopping.load(Ordering::Acquire) {
            // Its processes may outlive the one that exited by a moment.
            if let Err(error) = predecessor::wait(&self.paths, PREDECESSOR_TIMEOUT).await {
                warn(&error, "PostgreSQL did not end completely");
            }
            match self.spawn(programs.clone()) {
                Ok(postmaster) => return Some(postmaster),
                Err(error) => warn(&error, "PostgreSQL cannot be started again yet"),
            }
            sleep(SPAWN_PAUSE).await;
        }
        None
    }

    /// Waits until it is unused, and keeps commands and this process's own requests away until the result is dropped.
    /// Both wait for its return.
    async fn wait_until_unused(&self) -> (Option<File>, Option<SemaphorePermit<'_>>) {
        // Commands first, as they may take minutes: requests are to wait as short as can be.
        let users = lock::wait_for_users(&self.data_dir, USERS_TIMEOUT).await;
        (users, self.db.pause().await)
    }
}

/// Waits until it exits by itself, and logs that.
async fn exited(postmaster: &mut Postmaster) {
    let status = postmaster.exited().await;
    tracing::error!(?status, "PostgreSQL exited by itself; starting it again");
}

pub(super) fn warn(error: &Error, message: &str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{message}");
}
