//! The refusals of the rules, each with a sentence for a person. `api::error` gives each its code on the wire.

use std::time::Duration;

use crate::notify::registry::TooManySockets;
use crate::store::{batcher::BatchError, sqlstate};
use parlance_wire::text::Instance;

/// Why a request was not done. Nothing of it was stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A field is missing or of the wrong form; the sentence names it and what it must be.
    #[error("{0}")]
    BadRequest(String),
    /// No such key, or not this user's, or a disabled user's.
    #[error("Login failed.")]
    LoginFailed,
    /// Known, but may not.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Nobody may register, or not with this invitation.
    #[error("{0}")]
    RegistrationClosed(&'static str),
    /// No such conversation, or not the caller's.
    #[error("There is no such conversation.")]
    ConversationNotFound,
    /// No such user.
    #[error("There is no such user.")]
    UserNotFound,
    /// The conversation has another instance by now, which is given.
    #[error("The conversation has a new instance.")]
    StaleInstance(Instance),
    /// The id names another message.
    #[error("The id names another message.")]
    MessageIdConflict,
    /// It belongs to another user, or exists.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// Over a configured limit, which the sentence gives.
    #[error("{0}")]
    TooLarge(String),
    /// A daily limit is reached: a sentence that says which, and the rest of the day.
    #[error("{0}")]
    DailyLimit(String, Duration),
    /// Too many attempts, and the time until the next one.
    #[error("Too many attempts. Try again in a moment.")]
    RateLimited(Duration),
    /// A fault of ours. The cause goes to the log, never to the wire.
    #[error("The server failed. The log has the cause, under this answer's X-Request-Id.")]
    Internal(String),
    /// The database is away. The cause goes to the log.
    #[error("The server cannot do this at the moment. Try again.")]
    Unavailable {
        /// For the log.
        cause: String,
        /// It may have been done all the same: the database's answer was lost, but perhaps not its commit.
        is_uncertain: bool,
    },
}

/// What the database itself refuses, by the constraint's name.
const REFUSALS: [(&str, &str); 3] = [
    ("users_key", "This user already exists."),
    ("users_one_per_email", "This user already exists."),
    ("credentials_key", "This key already exists."),
];

impl From<TooManySockets> for Error {
    fn from(refusal: TooManySockets) -> Self {
        Self::RateLimited(refusal.retry_after)
    }
}

impl From<BatchError> for Error {
    fn from(refusal: BatchError) -> Self {
        let cause = refusal.to_string();
        match refusal {
            BatchError::Full | BatchError::Contended => Self::Unavailable {
                cause,
                is_uncertain: false,
            },
            BatchError::Stopped => Self::Unavailable {
                cause,
                is_uncertain: true,
            },
            BatchError::Database(error) => (&*error).into(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        (&error).into()
    }
}

impl From<&sqlx::Error> for Error {
    fn from(error: &sqlx::Error) -> Self {
        if let sqlx::Error::Database(refusal) = error {
            if let Some((_, sentence)) = REFUSALS
                .iter()
                .find(|(name, _)| refusal.constraint() == Some(name))
            {
                return Self::AlreadyExists(sentence);
            }
            if refusal.constraint() == Some("participants_of_user") {
                return Self::UserNotFound;
            }
            if sqlstate::is_away(error) {
                // A refusal is an answer, so nothing was done; but for a session that was ended, of which this may be the
                // last word.
                return Self::Unavailable {
                    cause: error.to_string(),
                    is_uncertain: sqlstate::is_ended(error),
                };
            }
            return Self::Internal(error.to_string());
        }
        let cause = error.to_string();
        match error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::WorkerCrashed => Self::Unavailable {
                cause,
                is_uncertain: true,
            },
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Configuration(_) => {
                Self::Unavailable {
                    cause,
                    is_uncertain: false,
                }
            }
            _ => Self::Internal(cause),
        }
    }
}
