//! CPU time and memory of the server, of PostgreSQL with all its processes, and of the client, measured apart. Read
//! from Linux's /proc; on other systems these results are absent.

use std::fs;

use nix::{
    sys::resource::{UsageWho, getrusage},
    unistd::{SysconfVar, sysconf},
};

/// The processes that are measured.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The server's process.
    pub server: Option<i32>,
    /// PostgreSQL's first process, whose children are the others.
    pub postmaster: Option<i32>,
}

/// CPU time, in seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    pub server: Option<f64>,
    /// That of all processes of PostgreSQL.
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

impl Meter {
    /// Watches a server, and the PostgreSQL that `backend` is a process of.
    #[must_use]
    pub(crate) fn of(server: Option<i32>, backend: i32) -> Self {
        // A PostgreSQL on another machine answers with a process id that may be anyone's here.
        let is_postgres = fs::read_to_string(format!("/proc/{backend}/comm"))
            .is_ok_and(|name| name.trim() == "postgres");
        Self {
            server,
            postmaster: stat(backend)
                .filter(|_| is_postgres)
                .map(|stat| stat.parent),
        }
    }

    /// The CPU time spent up to now.
    #[must_use]
    pub(crate) fn cpu(&self) -> Cpu {
        let own = getrusage(UsageWho::RUSAGE_SELF);
        let seconds = |time: nix::sys::time::TimeVal| {
            #[allow(clippy::cast_precision_loss)]
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
                // Backends that ended are counted by the postmaster, which waited for them: without those, the sum
                // could fall.
                stat(postmaster).map(|stat| stat.own + stat.of_the_dead + of_children)
            }),
            client: own.map_or(0.0, |own| {
                seconds(own.user_time()) + seconds(own.system_time())
            }),
        }
    }

    /// Resets the server's memory peak.
    pub(crate) fn reset_peak(&self) {
        if let Some(server) = self.server {
            // `5` resets the peak alone (proc(5), clear_refs). Another user's process refuses: then it is the peak since its
            // start.
            let _ = fs::write(format!("/proc/{server}/clear_refs"), "5");
        }
    }

    /// The server's peak of resident memory since [`Meter::reset_peak`], in KB.
    #[must_use]
    pub(crate) fn server_peak(&self) -> Option<u64> {
        field(&format!("/proc/{}/status", self.server?), "VmHWM:")
    }

    /// The server's present memory in KB, with its part of shared pages (PSS).
    #[must_use]
    pub(crate) fn server_memory(&self) -> Option<u64> {
        // Not the resident size: that counts pages shared with other processes in full.
        field(&format!("/proc/{}/smaps_rollup", self.server?), "Pss:")
    }

    /// As [`Meter::server_memory`], for all processes of PostgreSQL.
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
    /// CPU time of children that ended.
    of_the_dead: f64,
}

/// `/proc/PID/stat`, as proc(5) describes it.
fn stat(process: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    #[allow(clippy::cast_precision_loss)]
    let tick = 1.0 / sysconf(SysconfVar::CLK_TCK).ok()?? as f64;
    let time = |one: usize, two: usize| {
        Some((fields.get(one)?.parse::<f64>().ok()? + fields.get(two)?.parse::<f64>().ok()?) * tick)
    };
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        // Counted after the name: utime and stime are fields 14 and 15 of proc(5), cutime and cstime the next two.
        own: time(11, 12)?,
        of_the_dead: time(13, 14)?,
    })
}

fn children(of: i32) -> impl Iterator<Item = i32> {
    // Of all processes: the kernel lists children only if it was built to.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(move |process| stat(*process).is_some_and(|stat| stat.parent == of))
}

/// A line `name value kB` of a file.
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
