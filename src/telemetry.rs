//! The log: a line for each request that was refused or failed, and for every request with
//! `RUST_LOG=debug`. It never contains secrets, keys, signatures, or Data. Each line of a request
//! has its span with its id.

use std::{error::Error as StdError, io::IsTerminal};

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, ParseError, Targets},
    fmt,
    layer::SubscriberExt,
    registry,
    util::SubscriberInitExt,
};

use crate::settings::LogFormat;

/// Messages for operators. Those of the HTTP server and the database driver at `info` only repeat
/// ours.
const DEFAULT_FILTER: &str = "info,actix_server=warn,sqlx=warn";
/// The library that reads requests. It logs an error for each head that it cannot read, without an
/// address: anyone could fill the log, and no operator could do anything about it.
const SILENT: &str = "actix_http";

/// `RUST_LOG` cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("RUST_LOG must be a filter such as info or warn,parlance=debug")]
pub struct Error(#[source] Option<ParseError>);

/// Starts logging to stderr, as configured by `RUST_LOG`.
///
/// # Errors
/// `RUST_LOG` is invalid. Falling back to the default would make an operator wait for lines that
/// never come.
pub(crate) fn start(format: LogFormat) -> Result<(), Error> {
    let text = match std::env::var("RUST_LOG") {
        Ok(text) => Some(text).filter(|text| !text.is_empty()),
        Err(std::env::VarError::NotPresent) => None,
        Err(std::env::VarError::NotUnicode(_)) => return Err(Error(None)),
    };
    let filter =
        filter(text.as_deref().unwrap_or(DEFAULT_FILTER)).map_err(|error| Error(Some(error)))?;
    let log = fmt::layer()
        // Stdout is for the output of commands.
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let log = match format {
        LogFormat::Human => log.boxed(),
        LogFormat::Json => log
            .json()
            .flatten_event(true)
            // Spans do not nest, so the list would only repeat the current span.
            .with_span_list(false)
            .boxed(),
    };
    // A second start in the same process, as in a test, keeps the first one's log.
    let _ = registry().with(filter).with(log).try_init();
    Ok(())
}

/// The filter of the log. [`SILENT`] only if it is named: setting only a level does not ask for
/// its lines.
fn filter(text: &str) -> Result<Targets, ParseError> {
    // Not `EnvFilter`: it looks at each request's span at each of its steps.
    let filter: Targets = text.parse()?;
    let is_named = filter.iter().any(|(target, _)| target.starts_with(SILENT));
    Ok(if is_named {
        filter
    } else {
        filter.with_target(SILENT, LevelFilter::OFF)
    })
}

/// An error and its causes, in one line.
pub(crate) fn with_causes(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let sentence = cause.to_string();
        // Some libraries, such as sqlx, repeat the cause in their own message.
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
    use tracing::Level;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Cause {
        text: &'static str,
        #[source]
        source: Option<Box<Self>>,
    }

    #[test]
    fn the_http_library_is_silent_unless_it_is_named() {
        let logs =
            |text: &str, target: &str| filter(text).unwrap().would_enable(target, &Level::ERROR);
        let dispatcher = "actix_http::h1::dispatcher";
        for text in [DEFAULT_FILTER, "info", "debug", "warn,parlance=debug"] {
            assert!(!logs(text, dispatcher), "{text}");
            assert!(logs(text, "parlance::server"), "{text}");
        }
        assert!(logs("info,actix_http=error", dispatcher));
        assert!(logs("actix_http::h1=error", dispatcher));
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
