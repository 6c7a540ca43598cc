//! Errors of statements as the store's callers see them: refused by a constraint, the database is
//! away, or a bug. Each keeps its cause as `source`, for the log.

use std::{borrow::Cow, error::Error as StdError, sync::Arc};

use super::sqlstate::{self, Meaning};

/// A result of the store.
pub type Result<T> = std::result::Result<T, Error>;

/// The cause of an error.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// The reasons why the database did not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A named constraint refused the statement. Nothing was done.
    #[error("refused by the constraint {constraint}")]
    Refused {
        /// The name that its migration gave it.
        constraint: String,
        /// What PostgreSQL said.
        #[source]
        source: sqlx::Error,
    },
    /// The database cannot do this at the moment; a later attempt may succeed.
    #[error("the database is away")]
    Away {
        /// Whether the work may have been committed, because only its answer is known to be lost.
        uncertain: bool,
        /// For the log: it may name tables.
        #[source]
        source: Cause,
    },
    /// The store of files' bytes cannot do this at the moment; the database is there.
    #[error("the store of files is away")]
    FilesAway {
        /// What the store, or the system, said.
        #[source]
        source: Cause,
    },
    /// The store of files' bytes has no room.
    #[error("the store of files is full")]
    FilesFull {
        /// What the store, or the system, said.
        #[source]
        source: Cause,
    },
    /// A statement that does not fit the database, or an answer that does not fit the statement.
    #[error("the database did something unexpected")]
    Bug {
        /// Whether the work may have been committed, because its answer arrived but could not be
        /// read.
        uncertain: bool,
        /// For the log: it may name tables.
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

    /// Returns `true` if this constraint refused the statement.
    #[must_use]
    pub(crate) fn is_refused_by(&self, name: &str) -> bool {
        matches!(self, Self::Refused { constraint, .. } if constraint == name)
    }

    /// Returns `true` if the connection that the error came from must not be used again.
    #[must_use]
    pub(super) fn ends_connection(&self) -> bool {
        // Exactly the errors after which the session's state is unknown: it ended, or its messages
        // are not understood.
        matches!(
            self,
            Self::Away {
                uncertain: true,
                ..
            }
        )
    }

    /// Returns `true` if the database refused the statement itself: nothing was done, and a smaller
    /// one may be accepted.
    #[must_use]
    pub(super) fn may_be_split(&self) -> bool {
        // An unknown code counts as refused: splitting costs a few attempts, while giving up would
        // fail every caller of the batch for one caller's fault.
        self.code().is_some_and(|code| {
            !matches!(
                sqlstate::meaning(&code),
                Meaning::SessionEnded | Meaning::ServerAway
            )
        })
    }

    /// Returns `true` if the session ended during the statement, or its answer was lost.
    #[must_use]
    pub(super) fn is_lost_answer(&self) -> bool {
        // Without a code, the connection broke before PostgreSQL could send one.
        self.code()
            .is_none_or(|code| sqlstate::meaning(&code) == Meaning::SessionEnded)
    }

    /// The reason why writes fail, in words for a person, without SQL or names. Returns `None` if
    /// the error may be about this write alone, its content or its lock.
    #[must_use]
    pub(crate) fn write_failure(&self) -> Option<String> {
        match self.code() {
            Some(code) => sqlstate::write_failure(&code),
            None => Some("the database is away".into()),
        }
    }

    /// Returns `true` if the database's disk has no room.
    #[must_use]
    pub(crate) fn is_disk_full(&self) -> bool {
        self.code()
            .is_some_and(|code| sqlstate::is_disk_full(&code))
    }

    /// The SQLSTATE, if the database sent one.
    fn code(&self) -> Option<Cow<'_, str>> {
        let source = match self {
            Self::Refused { source, .. } => Some(source),
            Self::Away { source, .. } | Self::Bug { source, .. } => source.downcast_ref(),
            Self::FilesAway { .. } | Self::FilesFull { .. } => None,
        };
        source?.as_database_error()?.code()
    }
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        match &source {
            sqlx::Error::Database(refusal) => {
                // Checked before the code: a named constraint is an outcome that the rules expect,
                // and not a failure.
                if let Some(constraint) = refusal.constraint() {
                    let constraint = without_shard(constraint).to_owned();
                    return Self::Refused { constraint, source };
                }
                match refusal.code().map(|code| sqlstate::meaning(&code)) {
                    // This may be a session's last message although its work was done.
                    Some(Meaning::SessionEnded) => away(true, source),
                    Some(Meaning::ServerAway | Meaning::StatementStopped) => away(false, source),
                    _ => bug(source),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => away(true, source),
            // No connection was opened or handed out.
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

/// A statement returned an impossible result. It may be committed, so every station has to resync.
pub(super) fn impossible(what: &str) -> Error {
    Error::Bug {
        uncertain: true,
        source: format!("a statement answered what it cannot answer: {what}").into(),
    }
}

/// A constraint's name without the shard number that Citus appends (`users_key_102008`).
fn without_shard(constraint: &str) -> &str {
    match constraint.rsplit_once('_') {
        Some((name, shard)) if shard.parse::<u64>().is_ok() => name,
        _ => constraint,
    }
}

/// An error that is shared by several callers whose work failed together.
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
    fn a_lost_answer_is_uncertain_and_an_unsent_request_is_not() {
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
