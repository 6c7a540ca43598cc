//! Keeps PostgreSQL running: restarts it when it exits or its programs were upgraded, and stops it
//! in the end.

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

/// A PostgreSQL that ran this long is restarted at once, any other after a pause.
const STEADY_AFTER: Duration = Duration::from_secs(10);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Pause after a start that failed.
const SPAWN_PAUSE: Duration = Duration::from_secs(1);
/// Maximum time that a backup or a psql prompt may delay the restart after an upgrade.
const USERS_TIMEOUT: Duration = Duration::from_mins(10);
/// Maximum time that requests are held back during a restart after an upgrade. Then they are
/// refused.
const RESTART_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL that is kept running.
pub(super) struct Supervisor {
    pub paths: ClusterPaths,
    pub data_dir: PathBuf,
    pub pg_bin: Option<PathBuf>,
    /// The connections of this process.
    pub db: Db,
    pub connections: u32,
    /// `POSTGRES_SETTINGS`.
    pub settings: Vec<String>,
    /// How often the running version is compared with the programs on disk; `None` for a single
    /// command.
    pub check_every: Option<Duration>,
    pub stopping: AtomicBool,
    pub stop: Notify,
}

/// The reason to restart PostgreSQL.
enum Event {
    Exited,
    Upgraded(Programs),
}

impl Supervisor {
    pub(super) fn spawn(&self, programs: Programs) -> Result<Postmaster, Error> {
        Postmaster::spawn(&self.paths, programs, self.connections, &self.settings)
    }

    /// Makes [`Supervisor::watch`] shut it down.
    pub(super) fn request_stop(&self) {
        // The flag is for the restart loop, which does not wait for the notification.
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
                    // Its users lost their connections with it, so there is nothing to wait for.
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
                    // If it exits again and again, as with a full disk, it must not fill the log as
                    // well.
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
            self.db.counters().embedded_restarts.inc();
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

    /// Tries until it runs. Returns `None` if it has to stop instead.
    async fn start_again(&self, programs: Programs) -> Option<Postmaster> {
        // Not bounded: without its database the server cannot do anything else, and the database
        // may come back.
        while !self.stopping.load(Ordering::Acquire) {
            // Its child processes may outlive the postmaster for a moment.
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

    /// Waits until it is unused, and keeps commands and this process's own requests waiting until
    /// the result is dropped.
    async fn wait_until_unused(&self) -> (Option<File>, Option<SemaphorePermit<'_>>) {
        // Commands first, as they may take minutes, and requests should wait as briefly as
        // possible.
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
