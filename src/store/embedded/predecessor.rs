//! The previous PostgreSQL on the data: it may still be shutting down, or have left its lock files
//! behind.

use std::{io, path::Path, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Error, POLL, paths::ClusterPaths};

/// Waits for a PostgreSQL that still runs on the data to end, as one does whose parent was killed.
/// Removes the lock files of one that is gone.
///
/// # Errors
/// It does not end, because someone else started it.
pub(super) async fn wait(paths: &ClusterPaths, timeout: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + timeout;
    // PostgreSQL checks both files, and a crash can leave either.
    for file in [paths.data.join("postmaster.pid"), paths.socket_lock()] {
        while let Ok(text) = std::fs::read_to_string(&file) {
            let pid = text
                .lines()
                .next()
                .and_then(|line| line.trim().parse().ok());
            let pid = match pid {
                Some(pid) if uses(pid, &paths.data)? => pid,
                // After `kill -9` or a power cut, the file remains, and its process id may belong
                // to another process by now. PostgreSQL would take that for a server and refuse to
                // start. As we hold the data's lock and the socket's directory is private, no other
                // PostgreSQL can own these files.
                _ => match std::fs::remove_file(&file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::file(&file, "removed")(error));
                    }
                    _ => break,
                },
            };
            if Instant::now() > deadline {
                return Err(Error::OtherPostgres {
                    pid,
                    data: paths.data.clone(),
                });
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}

/// Checks whether a process is alive and is a PostgreSQL on this data, by its name and working
/// directory.
///
/// # Errors
/// It is alive and cannot be inspected.
fn uses(pid: i32, data: &Path) -> Result<bool, Error> {
    // Any other error means that it is alive, for example EPERM for another user's process.
    let is_gone = || {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None)
            == Err(nix::errno::Errno::ESRCH)
    };
    if is_gone() {
        return Ok(false);
    }
    if !Path::new("/proc/self/cwd").exists() {
        // macOS has no /proc. Waiting in vain is safer than two servers on the same data.
        return Ok(true);
    }
    let line = match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line,
        // It has just ended.
        Err(_) if is_gone() => return Ok(false),
        Err(source) => {
            return Err(Error::Inspect {
                pid,
                data: data.to_owned(),
                source,
            });
        }
    };
    let mut words = line.split(|byte| *byte == 0);
    let name = words
        .next()
        .and_then(|word| word.rsplit(|byte| *byte == b'/').next())
        .unwrap_or_default();
    if !name.starts_with(b"postgres") && !name.starts_with(b"postmaster") {
        return Ok(false);
    }
    let data = std::fs::canonicalize(data).map_err(Error::file(data, "read"))?;
    Ok(match std::fs::read_link(format!("/proc/{pid}/cwd")) {
        Ok(cwd) => cwd == data,
        // The link of another user's process cannot be read, but its command line can, and has the
        // directory.
        Err(_) => words.any(|word| word == data.as_os_str().as_encoded_bytes()),
    })
}
