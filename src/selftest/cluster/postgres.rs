//! A scratch PostgreSQL that outlives every node: the embedded one, in a thread and with a log of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
    thread::JoinHandle,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::oneshot;

use crate::{
    settings::{Database, Settings},
    store,
    telemetry::with_causes,
};

/// Connections of all nodes together.
const CONNECTIONS: u32 = 24;

/// A PostgreSQL that runs until it is stopped; if it is killed, it is started again.
pub(crate) struct Postgres {
    /// Its address, in the form of `DATABASE_URL`.
    pub url: String,
    pid_file: PathBuf,
    started: Option<oneshot::Receiver<Result<(), String>>>,
    /// Processes that were stopped with SIGSTOP, and have to be continued.
    frozen: Vec<Pid>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Postgres {
    /// Begins to create it in this directory, and to start it.
    pub(crate) fn begin(dir: &Path, settings: &Settings) -> Result<Self, String> {
        let mut settings = settings.clone();
        settings.data_dir = dir.join("data");
        settings.database = Database::Embedded;
        settings.database_connections = CONNECTIONS;
        let url = store::embedded::url(&settings).map_err(|error| with_causes(&error))?;
        let pid_file = settings.data_dir.join("postgres/postmaster.pid");
        let log = fs::File::create(dir.join("postgres.log")).map_err(|error| error.to_string())?;
        let (tell, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // To kill it is part of the test, so its errors go into a file. The subscriber applies to one thread:
            // hence a thread of its own.
            let subscriber = tracing_subscriber::fmt()
                .with_writer(Mutex::new(log))
                .with_ansi(false)
                .finish();
            let _log = tracing::subscriber::set_default(subscriber);
            match tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            {
                Ok(runtime) => runtime.block_on(run(settings, tell, stopped)),
                Err(error) => drop(tell.send(Err(error.to_string()))),
            }
        });
        Ok(Self {
            url,
            pid_file,
            started: Some(started),
            frozen: vec![],
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Waits until it has started.
    pub(crate) async fn await_started(&mut self) -> Result<(), String> {
        match self.started.take() {
            Some(started) => started.await.map_err(|_| "PostgreSQL's thread has ended")?,
            None => Ok(()),
        }
    }

    /// Its first process, if it runs.
    pub(crate) fn process(&self) -> Result<Pid, String> {
        // Read each time: after every kill it is another process.
        let file = fs::read_to_string(&self.pid_file)
            .map_err(|error| format!("the database's process is not known: {error}"))?;
        let process = file
            .lines()
            .next()
            .and_then(|line| line.parse().ok())
            .map(Pid::from_raw);
        let process = process.ok_or("the database's process is not known")?;
        // The file stays when PostgreSQL is killed, until the next one has started.
        kill(process, None).map_err(|error| format!("the database does not run: {error}"))?;
        Ok(process)
    }

    /// Stops its first process and these connections' processes, until [`Postgres::thaw`].
    pub(crate) fn freeze(&mut self, first: Pid, backends: &[Pid]) {
        // The postmaster first: then it starts no further backends.
        for process in std::iter::once(&first).chain(backends) {
            if kill(*process, Signal::SIGSTOP).is_ok() {
                self.frozen.push(*process);
            }
        }
    }

    /// Continues all that were stopped.
    pub(crate) fn thaw(&mut self) {
        for process in self.frozen.drain(..).rev() {
            // It may have been killed meanwhile.
            let _ = kill(process, Signal::SIGCONT);
        }
    }

    /// Shuts it down.
    pub(crate) async fn stop(&mut self) {
        self.thaw();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // The program has one thread for its tasks: a join there would stop all of them.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

async fn run(
    settings: Settings,
    tell: oneshot::Sender<Result<(), String>>,
    stopped: oneshot::Receiver<()>,
) {
    match store::embedded::open(&settings).await {
        Ok((db, Some(embedded))) => {
            // The nodes have their own; this one's connections would count against the limit.
            db.close().await;
            let _ = tell.send(Ok(()));
            let _ = stopped.await;
            embedded.stop().await;
        }
        Ok((_, None)) => drop(tell.send(Err("no scratch PostgreSQL was started".into()))),
        Err(error) => drop(tell.send(Err(with_causes(&error)))),
    }
}
