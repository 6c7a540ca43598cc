//! The program: parses the command line and runs the command. An error goes to stderr, in one line
//! with its causes.
#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::process::ExitCode;

use clap::Parser;
use parlance::cli::{self, Cli};

// Takes less memory for many sockets than the system's allocator: 14.8 KB per socket instead of
// 15.6. Without huge pages (feature `no_thp`), which it would otherwise request, and with which it
// takes 22.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

// A single thread is enough: each of the server's workers has a runtime of its own (WORKERS), and
// commands do one thing at a time.
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
