//! How hard to try: what a profile means, and what is asked for beside it.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// How hard to try.
#[derive(Debug, Clone, Args)]
pub struct Delivery {
    /// ci ends within two minutes, hour takes one
    #[arg(long, value_enum, default_value = "ci")]
    profile: Profile,
    /// Only one node, or only two; else one, two with NATS, and two without, one after the other
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    nodes: Option<u8>,
    /// With NATS between the two nodes of --nodes 2
    #[arg(long, requires = "nodes")]
    nats: bool,
    /// What chance decides on; the same number decides the same
    #[arg(long)]
    pub seed: Option<u64>,
    /// For how long is written, in all, as 1h or 90s
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// No more than so many messages, in each setting
    #[arg(long)]
    messages: Option<usize>,
    /// At most so many messages a second
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// How long it is calm between two faults, about; 0s: no faults
    #[arg(long, value_parser = humantime::parse_duration)]
    kill_every: Option<Duration>,
    /// How many write at once, each up to eight messages
    #[arg(long, default_value_t = 5)]
    writers: usize,
    /// Into how many conversations of two, beside three groups
    #[arg(long, default_value_t = 28)]
    conversations: usize,
    /// For scripts: one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How long, and how patient.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    /// For each change: under two minutes.
    Ci,
    /// An hour.
    Hour,
}

/// Nodes, and what is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// How many nodes.
    pub nodes: usize,
    /// Whether NATS is between them.
    pub has_nats: bool,
}

impl Setting {
    /// For a person.
    pub fn label(self) -> &'static str {
        match self {
            Self { nodes: 1, .. } => "one node",
            Self { has_nats: true, .. } => "two nodes, NATS",
            Self { has_nats: false, .. } => "two nodes, no NATS",
        }
    }
}

/// What is done in one setting.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where.
    pub setting: Setting,
    /// For how long is written.
    pub duration: Duration,
    /// How many messages are written, at most.
    pub messages: usize,
    /// How many a second, at most.
    pub rate: f64,
    /// How long it is calm between faults, about. `None`: there are no faults.
    pub kill_every: Option<Duration>,
    /// How many write.
    pub writers: usize,
    /// How many conversations of two there are.
    pub conversations: usize,
    /// Later than so long after the OK, or the end of a fault, nothing may be told.
    pub bound: Duration,
    /// Whether it ends as it begins: with messages that nothing else tells of.
    pub ends_quietly: bool,
    /// How long a node stays away, at least.
    pub stays_away: Duration,
    /// A freeze takes so many milliseconds more than half a second, at most.
    pub longest_freeze: usize,
    /// A quiet conversation is quiet for so many milliseconds more than one and a half seconds, at most.
    pub quiet_millis: usize,
    /// Between two reports, about, in milliseconds.
    pub report_millis: usize,
    /// Between two clears, two removals, and four flags, about, in milliseconds.
    pub change_millis: usize,
    /// Between two walks backwards, in milliseconds.
    pub walk_millis: u64,
}

impl Delivery {
    /// What is done, one after the other. `has_nats_server`: without one, there is no setting with NATS.
    ///
    /// # Errors
    /// NATS is asked for, and is not there.
    pub fn plans(&self, has_nats_server: bool) -> Result<Vec<Plan>, String> {
        if self.nats && !has_nats_server {
            return Err("--nats takes nats-server, which is not installed".into());
        }
        let [one, nats, two] = [(1, false), (2, true), (2, false)].map(|(nodes, has_nats)| Setting { nodes, has_nats });
        let settings = match self.nodes {
            Some(1) => vec![one],
            Some(_) => vec![if self.nats { nats } else { two }],
            None if has_nats_server => vec![one, nats, two],
            None => vec![one, two],
        };
        let is_ci = matches!(self.profile, Profile::Ci);
        // Starting, ending, and hearing the last of it take time as well.
        let whole = self.duration.unwrap_or(if is_ci { Duration::from_secs(33) } else { Duration::from_mins(57) });
        let duration = whole / u32::try_from(settings.len()).unwrap_or(1);
        let kill_every = self.kill_every.unwrap_or(if is_ci { Duration::from_millis(800) } else { Duration::from_secs(8) });
        let plan = |setting| Plan {
            setting,
            duration,
            messages: self.messages.unwrap_or(usize::MAX),
            rate: self.rate.max(0.1),
            kill_every: Some(kill_every).filter(|every| !every.is_zero()),
            writers: self.writers.max(1),
            conversations: self.conversations,
            bound: Duration::from_secs(if is_ci { 10 } else { 20 }),
            ends_quietly: !is_ci,
            stays_away: Duration::from_secs(20),
            longest_freeze: if is_ci { 1500 } else { 8000 },
            quiet_millis: if is_ci { 12_000 } else { 60_000 },
            report_millis: 150,
            change_millis: if is_ci { 2000 } else { 5000 },
            walk_millis: if is_ci { 500 } else { 3000 },
        };
        Ok(settings.into_iter().map(plan).collect())
    }
}
