//! How intensively to test: what a profile means, and the options beside it.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::quiet::Ending;

/// Maximum conversations of two: the pairs of 100 users.
const MAX_CONVERSATIONS: i64 = 4950;
/// Maximum undisturbed time until a reader is told. A node that was killed is missed by the others' heartbeats within
/// 20 seconds, and what it did not tell them is told then.
const BOUND: Duration = Duration::from_secs(25);
/// Writing time between two quiet rounds of the hour profile, about.
const STRETCH: Duration = Duration::from_secs(140);

/// How intensively to test.
#[derive(Debug, Clone, Args)]
pub(crate) struct Delivery {
    /// ci is meant to end within two minutes; hour takes an hour, and has nodes end and stay away in quiet rounds
    #[arg(long, value_enum, default_value = "ci")]
    profile: Profile,
    /// Only one node, or only two; else one, two with NATS, and two without, one after the other
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    nodes: Option<u8>,
    /// With NATS between the two nodes of --nodes 2
    #[arg(long, requires = "nodes")]
    nats: bool,
    /// Seed of all random choices; the same seed repeats them
    #[arg(long)]
    pub seed: Option<u64>,
    /// Writing time in total, as 1h or 90s; starting and quiet rounds come on top
    #[arg(long, value_parser = read_duration)]
    duration: Option<Duration>,
    /// Maximum messages in each setting
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    messages: Option<u32>,
    /// Maximum messages a second
    #[arg(long, default_value_t = 50.0, value_parser = read_rate)]
    rate: f64,
    /// Time between two faults, about; 0s: no faults
    #[arg(long, value_parser = humantime::parse_duration)]
    kill_every: Option<Duration>,
    /// Number of concurrent writers, each of up to eight messages at once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    writers: u16,
    /// Number of conversations of two, beside three groups
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u16).range(1..=MAX_CONVERSATIONS))]
    conversations: u16,
    /// For scripts: one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How long to test.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    /// For each change: under two minutes.
    Ci,
    Hour,
}

/// Nodes, and what is between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Number of nodes.
    pub nodes: usize,
    /// NATS connects them.
    pub has_nats: bool,
}

impl Setting {
    /// Its name in the report.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self { nodes: 1, .. } => "one node",
            Self { has_nats: true, .. } => "two nodes, NATS",
            Self {
                has_nats: false, ..
            } => "two nodes, no NATS",
        }
    }
}

/// The plan of one setting.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub setting: Setting,
    pub duration: Duration,
    pub messages: usize,
    /// Maximum messages a second.
    pub rate: f64,
    /// Time between faults, about. `None`: no faults.
    pub kill_every: Option<Duration>,
    /// Number of writers.
    pub writers: usize,
    /// Number of conversations of two.
    pub conversations: usize,
    /// Maximum undisturbed time from an OK until readers are told.
    pub bound: Duration,
    /// Number of stretches that the writing time is divided into.
    pub stretches: u32,
    /// The endings of nodes in quiet rounds, in turn.
    pub endings: Vec<Ending>,
    /// A quiet round comes after each stretch, not only before the first.
    pub is_long: bool,
    /// Minimum time that a node stays away.
    pub stays_away: Duration,
    /// Maximum milliseconds of a freeze beyond half a second.
    pub longest_freeze: usize,
    /// Maximum milliseconds between two messages of a quiet conversation, beyond one and a half seconds.
    pub quiet_millis: usize,
    /// Between two reports, about, in milliseconds.
    pub report_millis: usize,
    /// Between two clears, two removals, and four flags, about, in milliseconds.
    pub change_millis: usize,
    /// Between two walks backwards, in milliseconds.
    pub walk_millis: u64,
}

impl Delivery {
    /// The plans, one for each setting. `has_nats_server`: without one, there is no setting with NATS.
    ///
    /// # Errors
    /// NATS is asked for, and is not there.
    pub(crate) fn plans(&self, has_nats_server: bool) -> Result<Vec<Plan>, String> {
        if self.nats && !has_nats_server {
            return Err("--nats needs nats-server, which is not installed".into());
        }
        let [one, nats, two] = [(1, false), (2, true), (2, false)]
            .map(|(nodes, has_nats)| Setting { nodes, has_nats });
        let settings = match self.nodes {
            Some(1) => vec![one],
            Some(_) => vec![if self.nats { nats } else { two }],
            None if has_nats_server => vec![one, nats, two],
            None => vec![one, two],
        };
        let is_ci = matches!(self.profile, Profile::Ci);
        // Less than the profile promises: starting, ending and the last notifications take time as well.
        let whole = self.duration.unwrap_or(if is_ci {
            Duration::from_secs(33)
        } else {
            Duration::from_mins(42)
        });
        let duration = whole / u32::try_from(settings.len()).unwrap_or(1);
        let kill_every = self.kill_every.unwrap_or(if is_ci {
            Duration::from_millis(800)
        } else {
            Duration::from_secs(8)
        });
        let kill_every = Some(kill_every).filter(|every| !every.is_zero());
        let stretches = u32::try_from(duration.as_secs() / STRETCH.as_secs()).unwrap_or(1);
        let plan = |setting: Setting| Plan {
            setting,
            duration,
            messages: self.messages.map_or(usize::MAX, |messages| {
                usize::try_from(messages).unwrap_or(usize::MAX)
            }),
            rate: self.rate,
            kill_every,
            writers: self.writers.into(),
            conversations: self.conversations.into(),
            bound: BOUND,
            stretches: if is_ci {
                1
            } else {
                // At least one quiet round for each way to end a node, however short the run is made.
                stretches.max(Ending::COUNT)
            },
            endings: Ending::of(setting, kill_every.is_some()),
            is_long: !is_ci,
            // More than the 15 seconds after which a node without a heartbeat has ended, so that the others notice.
            stays_away: Duration::from_secs(20),
            // In the long profile, beyond the 5 seconds that a request waits for a connection: such requests are
            // answered 503.
            longest_freeze: if is_ci { 1500 } else { 8000 },
            quiet_millis: if is_ci { 12_000 } else { 60_000 },
            report_millis: 150,
            change_millis: if is_ci { 2000 } else { 5000 },
            walk_millis: if is_ci { 500 } else { 3000 },
        };
        Ok(settings.into_iter().map(plan).collect())
    }
}

fn read_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration >= Duration::from_secs(1) {
        Ok(duration)
    } else {
        Err("at least 1s".into())
    }
}

fn read_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number")?;
    if (0.1..=100_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("0.1 to 100000".into())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        delivery: Delivery,
    }

    fn plans(options: &str) -> Result<Vec<Plan>, String> {
        let cli =
            Cli::try_parse_from(std::iter::once("delivery").chain(options.split_whitespace()));
        cli.map_err(|error| error.to_string())?.delivery.plans(true)
    }

    #[test]
    fn an_option_out_of_its_range_is_refused() {
        for wrong in [
            "--nodes 0",
            "--nodes 3",
            "--nats",
            "--duration 0s",
            "--messages 0",
            "--rate 0",
            "--rate nan",
            "--rate inf",
            "--writers 0",
            "--conversations 0",
            "--conversations 4951",
        ] {
            assert!(plans(wrong).is_err(), "{wrong}");
        }
        let most = "--nodes 2 --nats --duration 1s --messages 1 --rate 0.1 --writers 1000 --conversations 4950 --kill-every 0s";
        assert_eq!(plans(most).unwrap().len(), 1);
    }

    #[test]
    fn the_long_profile_plays_each_ending_however_short_it_is_made() {
        for plan in plans("--profile hour --duration 12s").unwrap() {
            assert!(
                plan.is_long && usize::try_from(plan.stretches).unwrap() >= plan.endings.len(),
                "{plan:?}"
            );
        }
        let plans = plans("--profile ci").unwrap();
        assert_eq!(
            plans.iter().map(|plan| plan.stretches).collect::<Vec<_>>(),
            [1, 1, 1]
        );
        assert_eq!(
            plans
                .iter()
                .map(|plan| plan.endings.len())
                .collect::<Vec<_>>(),
            [1, 4, 3]
        );
    }
}
