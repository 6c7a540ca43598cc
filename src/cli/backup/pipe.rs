//! Runs `pg_dump` and `pg_restore` as child processes, with a pipe for their output or input.

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

/// Maximum bytes of a program's stderr that are repeated in an error.
const MAX_STDERR: u64 = 1 << 16;

/// Starts a program. Dropping the guard terminates it, for example after Ctrl-C.
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

/// Terminates a program when dropped, so that it does not outlive the work it was started for.
pub(super) struct Guard(Option<Pid>);

impl Guard {
    /// Called once the program has ended: its process id may belong to another process by now.
    pub(super) fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(process) = self.0 {
            // SIGTERM, not SIGKILL, so that they also cancel their statement in the database. If
            // the program has just ended, the error does not matter.
            let _ = kill(process, Signal::SIGTERM);
        }
    }
}

/// Reads a program's stderr while it runs: once the pipe is full, the program would block.
pub(super) fn read_stderr(from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = vec![];
        let mut from = from.take(MAX_STDERR);
        // A broken pipe only ends the text; the exit status says whether that matters.
        let _ = from.read_to_end(&mut text);
        // The rest is read and dropped, because a full pipe would block the program.
        let _ = io::copy(&mut from.into_inner(), &mut io::sink());
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// Waits for a program to end, and returns its stderr as an error if it failed.
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
    // One line, like every error of the command line.
    let stderr = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(Error::Failed { name, stderr })
}
