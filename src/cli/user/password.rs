//! Reads a password from the terminal or standard input.

use std::io::{IsTerminal, Read};

use aws_lc_rs::digest::{SHA256, digest};
use unicode_normalization::UnicodeNormalization;

use crate::cli::Error;

/// Minimum length of a person's password, in characters.
// Only the client that derives the key can refuse a short password, as the server never sees it.
// Apikeys of services are random and need no minimum.
const MIN_PASSWORD: usize = 8;

/// The 10,000 commonest passwords of at least [`MIN_PASSWORD`] characters, in the order of how often
/// they were found (`@zxcvbn-ts/language-common` 4.1.3, MIT), as the first 4 bytes of the SHA-256 of
/// each in NFKC and lower case, sorted.
// Hashes take less room than the words, and need not be unpacked. Of two million other passwords, five
// are taken for one of these.
const COMMON: &[u8] = include_bytes!("common_passwords.bin");

/// Returns `true` for a password that attackers try first, in whatever case.
fn is_common(password: &str) -> bool {
    let normal: String = password.nfkc().collect::<String>().to_lowercase();
    let hash = digest(&SHA256, normal.as_bytes());
    let (all, _) = COMMON.as_chunks::<4>();
    hash.as_ref()
        .first_chunk::<4>()
        .is_some_and(|start| all.binary_search(start).is_ok())
}

/// Reads a new password: from the terminal, where it is typed twice, or from standard input. It is
/// returned in Unicode's NFC, as keyboards write it, so that a login elsewhere has the same bytes.
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
    if is_common(&password) {
        return Err(Error::CommonPassword);
    }
    Ok(password.nfc().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_chooses_is_known_in_any_case_and_form_and_other_passwords_are_not() {
        for common in [
            "password",
            "12345678",
            "PassWord",
            "qwertyuiop",
            "trustno1",
            "ｐａｓｓｗｏｒｄ",
        ] {
            assert!(is_common(common), "{common}");
        }
        for other in [
            "correct horse",
            "battery staple",
            "passw0rd of Ann",
            "x7!kQ2#vLp",
        ] {
            assert!(!is_common(other), "{other}");
        }
        let (all, rest) = COMMON.as_chunks::<4>();
        assert!(all.len() == 10_000 && rest.is_empty() && all.is_sorted());
    }
}
