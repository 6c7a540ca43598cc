//! Asks for a password.

use std::io::{IsTerminal, Read};

use crate::cli::Error;

/// Minimum characters of a password.
// For people; apikeys are random. The server never sees a password, so only the client that derives the key can refuse
// one.
const MIN_PASSWORD: usize = 8;

/// A new password: of the terminal, typed twice, or of standard input.
pub(super) fn password(from_stdin: bool) -> Result<String, Error> {
    let password = if from_stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(Error::Input)?;
        // `echo` ends it with a newline, and a file from Windows with two characters.
        let line = text.strip_suffix('\n').unwrap_or(&text);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    } else if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ").map_err(Error::Input)?;
        let repeated = rpassword::prompt_password("Repeat the password: ").map_err(Error::Input)?;
        if repeated != password {
            return Err(Error::PasswordsDiffer);
        }
        password
    } else {
        return Err(Error::NoTerminal);
    };
    if password.chars().count() < MIN_PASSWORD {
        return Err(Error::PasswordTooShort(MIN_PASSWORD));
    }
    Ok(password)
}
