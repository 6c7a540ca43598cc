//! The options of `parlance bench`.

use clap::Args;

use super::workload::Workload;

/// The options of the command line.
#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// The workloads to measure [default: all]
    #[arg(value_enum)]
    pub workloads: Vec<Workload>,
    /// Measure floors as well: pgbench on the same PostgreSQL, and an endpoint that only parses and
    /// answers
    #[arg(long)]
    pub floor: bool,
    /// Number of connections [default: depends on the workload]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: Option<u16>,
    /// Requests per second, however long answers take (open loop) [default: closed loop]
    #[arg(long)]
    pub rate: Option<f64>,
    /// Number of requests per run [default: depends on the workload]
    #[arg(long)]
    pub operations: Option<usize>,
    /// Number of runs, of which the median is shown
    #[arg(long, default_value_t = 3)]
    pub runs: usize,
    /// Number of users
    #[arg(long, default_value_t = 1000)]
    pub users: usize,
    /// Number of conversations in total
    #[arg(long, default_value_t = 10_000)]
    pub conversations: usize,
    /// Initial number of messages in each conversation
    #[arg(long, default_value_t = 5)]
    pub messages: usize,
    /// Number of messages in a long conversation
    #[arg(long, default_value_t = 5000)]
    pub depth: usize,
    /// Size of a message's Data in bytes
    #[arg(long, default_value_t = 512)]
    pub bytes: usize,
    /// Number of WebSockets that are opened and receive nothing
    #[arg(long, default_value_t = 10_000)]
    pub sockets: usize,
    /// The URL of a running server [default: start a scratch server]
    // Needs --database, as the fixture is made with SQL: creating users and their histories over
    // the wire would take too long.
    #[arg(long, requires = "database")]
    pub url: Option<String>,
    /// The server's database, in which users and conversations are created: use one that you can
    /// throw away
    #[arg(long)]
    pub database: Option<String>,
    /// The process id of the server at --url, to measure what it costs
    #[arg(long, requires = "url")]
    pub pid: Option<i32>,
    /// Allow a server that is not on this machine
    #[arg(long)]
    pub remote: bool,
    /// For scripts: one JSON array
    #[arg(long)]
    pub json: bool,
}
