//! A scratch PostgreSQL that outlives every node: the embedded one, in a thread of its own, with a log of its own.

use std::{fs, path::Path, sync::Mutex, thread::JoinHandle};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::sync::oneshot;

use crate::{
    settings::{Database, Settings},
    store,
};

/// Connections of nodes, in all.
const CONNECTIONS: u32 = 24;

/// A PostgreSQL that runs until it is stopped; if it is killed, it is started again.
pub struct Postgres {
    /// As clients take it.
    pub url: String,
    pid_file: std::path::PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Postgres {
    /// Makes it, in this directory, and starts it.
    pub async fn start(dir: &Path, settings: &Settings) -> Result<Self, String> {
        let mut settings = settings.clone();
        settings.data_dir = dir.join("data");
        settings.database = Database::Embedded;
        settings.database_connections = CONNECTIONS;
        let pid_file = settings.data_dir.join("postgres/postmaster.pid");
        let log = fs::File::create(dir.join("postgres.log")).map_err(|error| error.to_string())?;
        let (tell, told) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            // That it ends is what we want: it is not for the terminal.
            let subscriber = tracing_subscriber::fmt().with_writer(Mutex::new(log)).with_ansi(false).finish();
            let _log = tracing::subscriber::set_default(subscriber);
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(run(settings, tell, stopped)),
                Err(error) => drop(tell.send(Err(error.to_string()))),
            }
        });
        let url = told.await.map_err(|_| "PostgreSQL's thread has ended")??;
        Ok(Self { url, pid_file, stop: Some(stop), thread: Some(thread) })
    }

    /// Sends a signal to its first process.
    pub fn signal(&self, signal: Signal) -> Result<(), String> {
        let file = fs::read_to_string(&self.pid_file).map_err(|error| format!("the database's process is not known: {error}"))?;
        let process = file.lines().next().and_then(|line| line.parse().ok()).ok_or("the database's process is not known")?;
        kill(Pid::from_raw(process), signal).map_err(|error| format!("the database cannot be sent a signal: {error}"))
    }

    /// Shuts it down.
    pub async fn stop(&mut self) {
        let _ = self.signal(Signal::SIGCONT);
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

async fn run(settings: Settings, tell: oneshot::Sender<Result<String, String>>, stopped: oneshot::Receiver<()>) {
    match store::embedded::open(&settings).await {
        Ok((db, Some(embedded))) => {
            db.close().await;
            let _ = tell.send(Ok(embedded.url().to_owned()));
            let _ = stopped.await;
            embedded.stop().await;
        }
        Ok((_, None)) => drop(tell.send(Err("no scratch PostgreSQL was started".into()))),
        Err(sentence) => drop(tell.send(Err(sentence))),
    }
}
