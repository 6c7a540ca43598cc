//! The file `.env`: settings, a line each.

use std::path::Path;

/// The file is there, and cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line is not a setting. The line itself may be a password, so only its place is named.
    #[error("the file .env cannot be read{place}; a value with spaces must be in quotes")]
    Line {
        /// As " at line 3 (DATABASE_URL)".
        place: String,
    },
    /// The file cannot be read.
    #[error("the file .env cannot be read")]
    File(#[source] dotenvy::Error),
}

/// Reads the settings of a file into the environment, if the file exists.
pub(super) fn read(file: &Path) -> Result<(), Error> {
    // Not dotenvy's search, which goes on in the directories above: a file there is another program's.
    match dotenvy::from_path(file) {
        Ok(()) => Ok(()),
        Err(error) if error.not_found() => Ok(()),
        Err(dotenvy::Error::LineParse(wrong, _)) => {
            // Without its text the line cannot be found, and the sentence has no place.
            let text = std::fs::read_to_string(file).unwrap_or_default();
            Err(Error::Line {
                place: place(&text, &wrong).unwrap_or_default(),
            })
        }
        Err(error) => Err(Error::File(error)),
    }
}

/// The position of the part that cannot be read: the line's number, and the name of the setting, if it has one.
fn place(text: &str, wrong: &str) -> Option<String> {
    // A quote that is not closed takes all the lines that follow.
    let wrong = wrong.trim().lines().next()?.trim_end();
    let begins = |part: &str| {
        let rest = part.trim().strip_prefix(wrong).map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
    };
    let (line, number) = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim_start().starts_with('#'))
        .find(|(line, _)| {
            begins(line) || line.split_once('=').is_some_and(|(_, value)| begins(value))
        })?;
    let name = line.split_once('=').map(|(name, _)| name.trim());
    let name = name.map(|name| name.strip_prefix("export ").unwrap_or(name).trim());
    let is_name = |name: &&str| {
        let is_part = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
        !name.is_empty() && name.bytes().all(is_part)
    };
    Some(name.filter(is_name).map_or_else(
        || format!(" at line {number}"),
        |name| format!(" at line {number} ({name})"),
    ))
}
