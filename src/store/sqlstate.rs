//! What the codes that PostgreSQL gives its errors (SQLSTATE) mean to us: in one place, as several ask.

/// A database, or a role, that has as many connections as it may.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// A session that was ended: by the operator, by a crash, by a limit on how long it may do nothing or last in a transaction,
/// or because its connection failed.
const ENDED: [&str; 4] = ["57P", "08", "25P03", "25P04"];
/// Not now: the connection, no room, the operator, files that cannot be read or written, a lock that is not given back.
const AWAY: [&str; 7] = ["08", "53", "57", "58", "55P03", "25P03", "25P04"];
/// No batch is stored, however small it is: the session, no room, files.
const WHOLE: [&str; 6] = ["08", "53", "57P", "58", "25P03", "25P04"];
/// About the one statement alone, its content or its lock.
const OWN: [&str; 8] = ["21", "22", "23", "40", "44", "54", "55P03", "57014"];
/// What says that nothing can be written, whatever it is; and what a person is told.
const CAUSES: [(&str, &str); 5] = [
    ("25006", "the database is read-only"),
    ("42501", "the role may not write"),
    ("53", "the database has no room"),
    ("57P", "the database is stopping, or was stopped"),
    ("58", "the database cannot read or write its files"),
];

/// The code of an error, if the database gave it one.
fn code(error: &sqlx::Error) -> Option<std::borrow::Cow<'_, str>> {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
}

fn is_one_of(error: &sqlx::Error, classes: &[&str]) -> bool {
    code(error).is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
}

/// Whether the database opens no more connections.
#[must_use]
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    code(error).is_some_and(|code| code == TOO_MANY_CONNECTIONS)
}

/// Whether the database said that it ends the session: its connection is of no more use, and of a statement that was on its
/// way this may be the last word, though it was done.
#[must_use]
pub(crate) fn is_ended(error: &sqlx::Error) -> bool {
    is_one_of(error, &ENDED)
}

/// Whether the database refuses for now, and may not a moment later.
#[must_use]
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    is_one_of(error, &AWAY)
}

/// Whether the database looked at a statement and refused it: then nothing of it was done, and with less in it it may
/// not be refused.
#[must_use]
pub(crate) fn is_refusal(error: &sqlx::Error) -> bool {
    code(error).is_some() && !is_one_of(error, &WHOLE)
}

/// Why writes fail, in words for a person: no SQL, no names. Returns `None` when the error may be about this one write
/// alone, its content or its lock.
#[must_use]
pub(crate) fn cause(error: &sqlx::Error) -> Option<String> {
    let Some(code) = code(error) else {
        return Some("the database is away".into());
    };
    if let Some((_, cause)) = CAUSES.iter().find(|(class, _)| code.starts_with(class)) {
        return Some((*cause).into());
    }
    (!is_one_of(error, &OWN)).then(|| format!("the database refuses them (SQLSTATE {code})"))
}
