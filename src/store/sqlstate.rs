//! The meaning of PostgreSQL's error codes (SQLSTATE,
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>) for a statement and its
//! connection. No other file knows them.

/// The meaning of a code for the statement, its session and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The session has ended: its connection is unusable, and its last statement may have been
    /// committed.
    SessionEnded,
    /// The server refuses statements of any size for now. Nothing was done.
    ServerAway,
    /// This statement was stopped by a timeout, or because a lock was not released. Nothing was
    /// done.
    StatementStopped,
    /// The content of this statement alone was refused. Nothing was done.
    StatementRefused,
    /// All writes are refused.
    WritesRefused,
    /// Any other code.
    Other,
}

/// Codes and classes of codes, longer ones first, with the sentence for people if writes fail.
const MEANINGS: [(&str, Meaning, Option<&str>); 18] = {
    use Meaning::{ServerAway, SessionEnded, StatementRefused, StatementStopped, WritesRefused};
    [
        // The connection failed. Citus reports a dead worker by this code on a connection that is
        // alive, possibly after a COMMIT that succeeded, so the outcome is uncertain.
        ("08", SessionEnded, None),
        // Cardinality and data: the statement's values are at fault.
        ("21", StatementRefused, None),
        ("22", StatementRefused, None),
        ("23", StatementRefused, None),
        ("25006", WritesRefused, Some("the database is read-only")),
        // Idle in a transaction, or in one for too long: the session is ended.
        ("25P03", SessionEnded, None),
        ("25P04", SessionEnded, None),
        // The outcome of the transaction is not known.
        ("40003", SessionEnded, None),
        // Deadlock, serialization: half of the batch takes fewer locks.
        ("40", StatementStopped, None),
        ("42501", WritesRefused, Some("the role may not write")),
        ("44", StatementRefused, None),
        // Disk, memory, connections: a smaller statement is refused too, a later one may not be.
        ("53", ServerAway, Some("the database has no room")),
        // Too large or too complex: half of it may be accepted.
        ("54", StatementRefused, None),
        ("55P03", StatementStopped, None),
        // Statement timeout, or an operator's pg_cancel_backend.
        ("57014", StatementStopped, None),
        // A shutdown may be reported instead of the answer to a COMMIT that succeeded.
        (
            "57P",
            SessionEnded,
            Some("the database is stopping, or was stopped"),
        ),
        // Other interventions of an operator, which affect a single statement.
        ("57", StatementStopped, None),
        (
            "58",
            ServerAway,
            Some("the database cannot read or write its files"),
        ),
    ]
};

/// The database, or the role, has reached its connection limit.
const TOO_MANY_CONNECTIONS: &str = "53300";
const INSUFFICIENT_PRIVILEGE: &str = "42501";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const DISK_FULL: &str = "53100";
const PROTOCOL_VIOLATION: &str = "08P01";

/// The meaning of a code.
#[must_use]
pub(super) fn meaning(code: &str) -> Meaning {
    row(code).map_or(Meaning::Other, |(_, meaning, _)| *meaning)
}

/// The reason why writes fail, for people. Returns `None` if the code may be about one write alone.
#[must_use]
pub(super) fn write_failure(code: &str) -> Option<String> {
    match row(code) {
        Some((_, _, Some(sentence))) => Some((*sentence).into()),
        Some((_, Meaning::StatementStopped | Meaning::StatementRefused, _)) => None,
        _ => Some(format!("the database refuses them (SQLSTATE {code})")),
    }
}

/// Returns `true` if the database's disk has no room.
#[must_use]
pub(super) fn is_disk_full(code: &str) -> bool {
    code == DISK_FULL
}

/// Returns `true` if the role may not do this.
#[must_use]
pub(super) fn is_forbidden(error: &sqlx::Error) -> bool {
    has_code(error, INSUFFICIENT_PRIVILEGE)
}

/// Returns `true` if the database opens no more connections, for this role or for any.
#[must_use]
pub(super) fn is_full(error: &sqlx::Error) -> bool {
    has_code(error, TOO_MANY_CONNECTIONS)
}

/// Returns `true` if a lock was not released in time.
#[must_use]
pub(super) fn is_locked(error: &sqlx::Error) -> bool {
    has_code(error, LOCK_NOT_AVAILABLE)
}

/// Returns `true` if the peer says that the protocol was violated.
#[must_use]
pub(super) fn is_protocol_violation(error: &sqlx::Error) -> bool {
    has_code(error, PROTOCOL_VIOLATION)
}

fn has_code(error: &sqlx::Error, wanted: &str) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == wanted)
}

fn row(code: &str) -> Option<&'static (&'static str, Meaning, Option<&'static str>)> {
    MEANINGS.iter().find(|(class, ..)| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_code_is_looked_for_before_its_class() {
        for (place, (class, ..)) in MEANINGS.iter().enumerate() {
            let earlier = MEANINGS.iter().take(place);
            assert!(
                earlier
                    .into_iter()
                    .all(|(other, ..)| !class.starts_with(other)),
                "{class} is never found"
            );
        }
    }

    #[test]
    fn each_class_of_codes_has_its_meaning() {
        for (code, expected) in [
            ("08006", Meaning::SessionEnded),
            ("57P01", Meaning::SessionEnded),
            ("25P03", Meaning::SessionEnded),
            ("53100", Meaning::ServerAway),
            ("58030", Meaning::ServerAway),
            ("55P03", Meaning::StatementStopped),
            ("57014", Meaning::StatementStopped),
            ("23505", Meaning::StatementRefused),
            ("25006", Meaning::WritesRefused),
            ("42P01", Meaning::Other),
        ] {
            assert_eq!(meaning(code), expected, "{code}");
        }
    }
}
