//! The log: one line for each request that was refused or failed, and one for each other with `RUST_LOG=debug`. Never a
//! secret, a key, a signature, or Data. Each line of a request has its span, with its id.

use std::{error::Error as StdError, io::IsTerminal};

use tracing_subscriber::{EnvFilter, filter::ParseError};

use crate::settings::LogFormat;

/// What an operator wants to know. The HTTP server and the database driver say at `info` what our own lines say better.
const DEFAULT_FILTER: &str = "info,actix_server=warn,sqlx=warn";

/// `RUST_LOG` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG must be levels, as info or warn,parlance=debug")]
pub struct Error(#[source] Option<ParseError>);

/// Starts logging to stderr. `RUST_LOG` chooses what.
///
/// # Errors
/// `RUST_LOG` is wrong. With the default instead, an operator would wait for lines that never come.
pub(crate) fn start(format: LogFormat) -> Result<(), Error> {
    let text = match std::env::var("RUST_LOG") {
        Ok(text) => Some(text).filter(|text| !text.is_empty()),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => return Err(Error(None)),
    };
    let filter = EnvFilter::try_new(text.as_deref().unwrap_or(DEFAULT_FILTER))
        .map_err(|error| Error(Some(error)))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Stdout is what commands answer.
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
    Ok(())
}

/// An error and its causes, in one line.
pub(crate) fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let sentence = cause.to_string();
        // Some libraries, sqlx among them, repeat the cause in their own sentence.
        if !text.ends_with(&sentence) {
            text = format!("{text}: {sentence}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Cause {
        text: &'static str,
        #[source]
        source: Option<Box<Self>>,
    }

    #[test]
    fn causes_are_named_once_each() {
        let cause = |text, source| Cause { text, source };
        let inner = cause("refused", None);
        let middle = cause("cannot connect: refused", Some(Box::new(inner)));
        let outer = cause("the database is away", Some(Box::new(middle)));
        assert_eq!(
            with_causes(&outer),
            "the database is away: cannot connect: refused"
        );
    }
}
