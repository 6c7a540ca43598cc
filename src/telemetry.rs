//! The log. Each line of a request has its span, with its id. Never a secret, a key, a signature, or Data.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::settings::LogFormat;

/// Starts logging to stderr. `RUST_LOG` chooses what; the default is what an operator wants to know.
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn,sqlx=warn"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    // A second start in the same process (a test) keeps the first one's log.
    let _ = match format {
        LogFormat::Human => log.try_init(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            // Spans do not nest: the list would repeat the one.
            .with_span_list(false)
            .try_init(),
    };
}
