//! `pg_dump` and `pg_restore` as child processes, whose output or input is a pipe of ours.

use std::{
    io::{self, Read},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::cli::program::{self, Error};

/// Maximum bytes of what a program writes to stderr that are repeated.
const MAX_STDERR: u64 = 1 << 16;

/// Starts a program. The guard ends it when it is dropped first, as after Ctrl-C.
pub(super) fn start(
    command: &mut Command,
    stdin: Stdio,
    stdout: Stdio,
) -> Result<(Child, Guard), Error> {
    let started = command
        .stdin(stdin)
        .stdout(stdout)
        .stderr(Stdio::piped())
        .spawn();
    let child = started.map_err(program::not_run(command))?;
    let guard = Guard(i32::try_from(child.id()).ok().map(Pid::from_raw));
    Ok((child, guard))
}

/// Terminates a program that must not outlive the work that it was started for.
pub(super) struct Guard(Option<Pid>);

impl Guard {
    /// The program has ended, and its number may be another's by now.
    pub(super) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            // Not SIGKILL: at SIGTERM they also cancel their statement in the database. One that has just ended is fine.
            let _ = kill(process, Signal::SIGTERM);
        }
    }
}

/// Reads a program's stderr while it runs: it would block for ever once the pipe is full.
pub(super) fn read_stderr(from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = vec![];
        let mut from = from.take(MAX_STDERR);
        // A pipe that breaks ends the text; the exit status says whether that matters.
        let _ = from.read_to_end(&mut text);
        // What exceeds the maximum is read as well, and dropped: a full pipe would block the program.
        let _ = io::copy(&mut from.into_inner(), &mut io::sink());
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Waits for a program's end, and takes its complaint if it failed.
pub(super) fn wait(
    mut child: Child,
    stderr: JoinHandle<String>,
    name: &'static str,
) -> Result<(), Error> {
    let status = child.wait().map_err(|source| Error::NotRun {
        program: name.into(),
        source,
    })?;
    let stderr = stderr.join().unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    // One line, as every error of the command line.
    let stderr = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Error::Failed { name, stderr })
}
