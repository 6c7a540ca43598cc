//! The program: reads the command line and does what it says. An error goes to stderr, in one line with its causes.
#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::process::ExitCode;

use clap::Parser;
use parlance::cli::{self, Cli};

// Packs the buffers of many sockets closer than the system's own: 14.8 KB a socket instead of 15.6. Without
// huge pages (feature `no_thp`), which it would otherwise ask for, and which make that 22.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// One thread is enough: the server's workers run a runtime each (WORKERS), and commands do one thing at a time.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli::run(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("parlance: {}", error.with_causes());
            ExitCode::FAILURE
        }
    }
}
