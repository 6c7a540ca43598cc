//! Writes the output of commands.

use std::io::{self, Write};

use super::Error;

/// Prints a line.
pub(super) fn say(line: std::fmt::Arguments<'_>) -> Result<(), Error> {
    match writeln!(io::stdout(), "{line}") {
        // A reader that stops early, such as `head`, is not a problem.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}

/// Prints a value as one line of JSON.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|error| Error::Output(error.into()))?;
    say(format_args!("{text}"))
}
