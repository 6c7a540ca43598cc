//! The options of `parlance bench`.

use clap::Args;

use super::workload::Workload;

/// The options of the command line.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to measure; all, if none is named
    #[arg(value_enum)]
    pub workloads: Vec<Workload>,
    /// Measure floors as well: pgbench on the same PostgreSQL, and an endpoint that only parses and answers
    #[arg(long)]
    pub floor: bool,
    /// Number of connections; each workload has its own default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: Option<u16>,
    /// Requests a second, however long answers take (open loop)
    #[arg(long)]
    pub rate: Option<f64>,
    /// Number of requests in a run; each workload has its own default
    #[arg(long)]
    pub operations: Option<usize>,
    /// Number of runs, of which the median is shown
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Number of users
    #[arg(long, default_value_t = 1000)]
    pub users: usize,
    /// Number of conversations of all users
    #[arg(long, default_value_t = 10_000)]
    pub conversations: usize,
    /// Number of messages in each conversation at the start
    #[arg(long, default_value_t = 5)]
    pub messages: usize,
    /// Number of messages in a long conversation
    #[arg(long, default_value_t = 5000)]
    pub depth: usize,
    /// Bytes of Data in a message
    #[arg(long, default_value_t = 512)]
    pub bytes: usize,
    /// Number of WebSockets that are opened and receive nothing
    #[arg(long, default_value_t = 10_000)]
    pub sockets: usize,
    /// A server that runs; a scratch one is started if not given
    // The fixture is made by SQL: its users and their histories would take too long over the wire.
    #[arg(long, requires = "database")]
    pub url: Option<String>,
    /// The server's database, where users and conversations are made: one that you can throw away
    #[arg(long)]
    pub database: Option<String>,
    /// The process of the server at --url, to measure what it costs
    #[arg(long, requires = "url")]
    pub pid: Option<i32>,
    /// Measure a server that is not on this machine
    #[arg(long)]
    pub remote: bool,
    /// For scripts: one JSON array
    #[arg(long)]
    pub json: bool,
}
