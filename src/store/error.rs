//! Why a statement failed, as the store's callers see it: a constraint refused it, the database is away, or there is a
//! bug. Each keeps its cause as `source`, for the log.

use std::{borrow::Cow, error::Error as StdError, sync::Arc};

use super::sqlstate::{self, Meaning};

/// The store's results.
pub type Result<T> = std::result::Result<T, Error>;

/// The cause of an error.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// Why the database did not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A named constraint refused the statement. Nothing was done.
    #[error("refused by the constraint {constraint}")]
    Refused {
        /// The name that its migration gave it.
        constraint: String,
        /// PostgreSQL's own words.
        #[source]
        source: sqlx::Error,
    },
    /// The database cannot do this at the moment; a later try may succeed.
    #[error("the database is away")]
    Away {
        /// The work may have been committed: only the answer is known to be lost.
        uncertain: bool,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A statement that does not fit the database, or an answer that does not fit the statement.
    #[error("the database and this server disagree")]
    Bug {
        /// The work may have been committed: its answer came, and could not be read.
        uncertain: bool,
        /// What does not fit.
        #[source]
        source: Cause,
    },
}

impl Error {
    /// The database is away, and nothing was begun.
    pub(super) fn not_begun(why: impl Into<Cause>) -> Self {
        Self::Away {
            uncertain: false,
            source: why.into(),
        }
    }

    /// Returns `true` when this constraint refused the statement.
    #[must_use]
    pub(crate) fn is_refused_by(&self, name: &str) -> bool {
        matches!(self, Self::Refused { constraint, .. } if constraint == name)
    }

    /// Returns `true` when the connection that it came from must not be used again.
    #[must_use]
    pub(super) fn ends_connection(&self) -> bool {
        // Exactly those after which nobody knows what the session did: it ended, or what it sends is not understood.
        matches!(
            self,
            Self::Away {
                uncertain: true,
                ..
            }
        )
    }

    /// Returns `true` when the database refused the statement itself: nothing of it was done, and with less in it, it
    /// may be accepted.
    #[must_use]
    pub(super) fn may_be_split(&self) -> bool {
        // A code that the table does not know counts as refused: halving costs a few tries, giving up would fail every
        // caller of the batch for the fault of one.
        self.code().is_some_and(|code| {
            !matches!(
                sqlstate::meaning(&code),
                Meaning::SessionEnded | Meaning::ServerAway
            )
        })
    }

    /// Returns `true` when the session ended during the statement, or its answer was lost.
    #[must_use]
    pub(super) fn is_lost_answer(&self) -> bool {
        // Without a code the connection broke before PostgreSQL could give one.
        self.code()
            .is_none_or(|code| sqlstate::meaning(&code) == Meaning::SessionEnded)
    }

    /// Why writes fail, in words for a person: no SQL, no names. Returns `None` when the error may be about this one
    /// write alone, its content or its lock.
    #[must_use]
    pub(crate) fn write_failure(&self) -> Option<String> {
        match self.code() {
            Some(code) => sqlstate::write_failure(&code),
            None => Some("the database is away".into()),
        }
    }

    /// The SQLSTATE, if the database gave one.
    fn code(&self) -> Option<Cow<'_, str>> {
        let source = match self {
            Self::Refused { source, .. } => Some(source),
            Self::Away { source, .. } | Self::Bug { source, .. } => source.downcast_ref(),
        };
        source?.as_database_error()?.code()
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        match &source {
            sqlx::Error::Database(refusal) => {
                // Before the code: a named constraint is an outcome that rules expect, and not a failure.
                if let Some(constraint) = refusal.constraint() {
                    let constraint = without_shard(constraint).to_owned();
                    return Self::Refused { constraint, source };
                }
                match refusal.code().map(|code| sqlstate::meaning(&code)) {
                    // Of a session that ended this may be the last word, though its work was done.
                    Some(Meaning::SessionEnded) => away(true, source),
                    Some(Meaning::ServerAway | Meaning::StatementStopped) => away(false, source),
                    _ => bug(source),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => away(true, source),
            // None was opened, or none was handed out.
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Configuration(_) => {
                away(false, source)
            }
            _ => bug(source),
        }
    }
}

fn away(uncertain: bool, source: sqlx::Error) -> Error {
    Error::Away {
        uncertain,
        source: source.into(),
    }
}

fn bug(source: sqlx::Error) -> Error {
    Error::Bug {
        uncertain: false,
        source: source.into(),
    }
}

/// A statement answered what it cannot answer. What it did may be committed, so every station has to resync.
pub(super) fn impossible(what: &str) -> Error {
    Error::Bug {
        uncertain: true,
        source: format!("a statement answered what it cannot answer: {what}").into(),
    }
}

/// A constraint's name as its migration gave it: Citus adds the shard's number to it (`users_key_102008`).
fn without_shard(constraint: &str) -> &str {
    match constraint.rsplit_once('_') {
        Some((name, shard)) if shard.parse::<u64>().is_ok() => name,
        _ => constraint,
    }
}

/// One error for the several callers whose work failed together.
pub(crate) type Shared = Arc<Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constraint_is_known_by_its_name_on_every_shard() {
        assert_eq!(without_shard("users_key"), "users_key");
        assert_eq!(without_shard("users_key_102008"), "users_key");
        assert_eq!(
            without_shard("messages_one_per_id_102141"),
            "messages_one_per_id"
        );
    }

    #[test]
    fn an_answer_that_was_lost_is_uncertain_and_what_was_not_begun_is_not() {
        let lost = Error::from(sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()));
        assert!(matches!(
            lost,
            Error::Away {
                uncertain: true,
                ..
            }
        ));
        assert!(lost.ends_connection());
        let none = Error::from(sqlx::Error::PoolTimedOut);
        assert!(matches!(
            none,
            Error::Away {
                uncertain: false,
                ..
            }
        ));
        assert!(!none.ends_connection());
    }
}
