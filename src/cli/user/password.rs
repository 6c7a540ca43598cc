//! Reads a password from the terminal or standard input.

use std::io::{IsTerminal, Read};

use crate::cli::Error;

/// Minimum length of a person's password, in characters.
// Only the client that derives the key can refuse a short password, as the server never sees it.
// Apikeys of services are random and need no minimum.
const MIN_PASSWORD: usize = 8;

/// Reads a new password: from the terminal, where it is typed twice, or from standard input.
pub(super) fn password(from_stdin: bool) -> Result<String, Error> {
    let password = if from_stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(Error::Input)?;
        // `echo` appends a newline; a file from Windows has CR LF.
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
