//! CPU time and memory of the server, of all PostgreSQL processes, and of the client, measured
//! separately. Read from Linux's /proc; absent on other systems.

use std::fs;

use nix::{
    sys::resource::{UsageWho, getrusage},
    unistd::{SysconfVar, sysconf},
};

/// The processes that are measured.
#[derive(Debug)]
pub(crate) struct CostMeter {
    /// The server's process.
    pub server: Option<i32>,
    /// The postmaster, the parent of all other PostgreSQL processes.
    pub postmaster: Option<i32>,
}

/// CPU time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub server: Option<f64>,
    /// All PostgreSQL processes together.
    pub postgres: Option<f64>,
    pub client: f64,
}

impl Cpu {
    /// The CPU time since an earlier reading.
    #[must_use]
    pub(crate) fn since(self, earlier: Self) -> Self {
        let minus = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
        Self {
            server: minus(self.server, earlier.server),
            postgres: minus(self.postgres, earlier.postgres),
            client: self.client - earlier.client,
        }
    }
}

impl CostMeter {
    /// Measures a server, and the PostgreSQL that the process `backend` belongs to.
    #[must_use]
    pub(crate) fn of(server: Option<i32>, backend: i32) -> Self {
        // A PostgreSQL on another machine reports a process id that may belong to any process here.
        let is_postgres = fs::read_to_string(format!("/proc/{backend}/comm"))
            .is_ok_and(|name| name.trim() == "postgres");
        Self {
            server,
            postmaster: stat(backend)
                .filter(|_| is_postgres)
                .map(|stat| stat.parent),
        }
    }

    /// The CPU time used so far.
    #[must_use]
    pub(crate) fn cpu(&self) -> Cpu {
        let own = getrusage(UsageWho::RUSAGE_SELF);
        let seconds = |time: nix::sys::time::TimeVal| {
            #[expect(
                clippy::cast_precision_loss,
                reason = "CPU time and operations of a run are far below 2^52"
            )]
            let micros = (time.tv_sec() * 1_000_000 + time.tv_usec()) as f64;
            micros / 1e6
        };
        Cpu {
            server: self.server.and_then(stat).map(|stat| stat.own),
            postgres: self.postmaster.and_then(|postmaster| {
                let of_children: f64 = children(postmaster)
                    .filter_map(stat)
                    .map(|stat| stat.own)
                    .sum();
                // The postmaster's counters include backends that have ended; without them the sum
                // could decrease.
                stat(postmaster).map(|stat| stat.own + stat.of_the_dead + of_children)
            }),
            client: own.map_or(0.0, |own| {
                seconds(own.user_time()) + seconds(own.system_time())
            }),
        }
    }

    /// Resets the peak of the server's memory.
    pub(crate) fn reset_peak(&self) {
        if let Some(server) = self.server {
            // `5` resets the peak alone (proc(5), clear_refs). It is refused for another user's
            // process: the peak is then the one since its start.
            let _ = fs::write(format!("/proc/{server}/clear_refs"), "5");
        }
    }

    /// The server's peak of resident memory since [`CostMeter::reset_peak`], in KB.
    #[must_use]
    pub(crate) fn server_peak(&self) -> Option<u64> {
        field(&format!("/proc/{}/status", self.server?), "VmHWM:")
    }

    /// The server's present memory in KB, counting shared pages in proportion (PSS).
    #[must_use]
    pub(crate) fn server_memory(&self) -> Option<u64> {
        // Not the resident size, which counts pages shared with other processes in full.
        field(&format!("/proc/{}/smaps_rollup", self.server?), "Pss:")
    }

    /// Like [`CostMeter::server_memory`], for all PostgreSQL processes.
    #[must_use]
    pub(crate) fn postgres_memory(&self) -> Option<u64> {
        let postmaster = self.postmaster?;
        let of = |process| field(&format!("/proc/{process}/smaps_rollup"), "Pss:");
        Some(of(postmaster)? + children(postmaster).filter_map(of).sum::<u64>())
    }
}

struct Stat {
    parent: i32,
    own: f64,
    /// CPU time of child processes that have ended.
    of_the_dead: f64,
}

/// Reads `/proc/PID/stat`; see proc(5).
fn stat(process: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The process name, in parentheses, may contain anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    #[expect(
        clippy::cast_precision_loss,
        reason = "CPU time and operations of a run are far below 2^52"
    )]
    let tick = 1.0 / sysconf(SysconfVar::CLK_TCK).ok()?? as f64;
    let time = |one: usize, two: usize| {
        Some((fields.get(one)?.parse::<f64>().ok()? + fields.get(two)?.parse::<f64>().ok()?) * tick)
    };
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        // Indexes start after the name: utime and stime are fields 14 and 15 of proc(5), cutime and
        // cstime the next two.
        own: time(11, 12)?,
        of_the_dead: time(13, 14)?,
    })
}

fn children(of: i32) -> impl Iterator<Item = i32> {
    // Searches all processes, as the kernel lists children only if it was built to.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(move |process| stat(*process).is_some_and(|stat| stat.parent == of))
}

/// Reads a line `name value kB` of a file.
fn field(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .trim()
            .strip_suffix("kB")?
            .trim()
            .parse()
            .ok()
    })
}
