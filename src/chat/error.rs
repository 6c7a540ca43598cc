//! The refusals of the rules, each with a sentence for a person. `api::error` gives each its code on the wire.

use std::time::Duration;

use crate::notify::registry::TooManySockets;
use crate::store::{self, batcher::BatchError, error::Cause};
use crate::telemetry::with_causes;
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
    /// The vault has another version by now, which is given.
    #[error("The vault has a newer version.")]
    StaleVersion(i32),
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
    Internal(#[source] Cause),
    /// The database is away. The cause goes to the log.
    #[error("The server cannot do this at the moment. Try again.")]
    Unavailable {
        /// It may have been done all the same: an answer was lost, but perhaps not its commit.
        uncertain: bool,
        /// For the log.
        #[source]
        source: Cause,
    },
}

impl From<TooManySockets> for Error {
    fn from(refusal: TooManySockets) -> Self {
        Self::RateLimited(refusal.retry_after)
    }
}

impl Error {
    /// The cause of a failure, with its own causes: for the log, never for the wire. Returns `None` for a refusal.
    #[must_use]
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Internal(source) | Self::Unavailable { source, .. } => {
                Some(with_causes(&**source))
            }
            _ => None,
        }
    }
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        let failure = match &error {
            BatchError::Full | BatchError::Contended => Failure::Unavailable { uncertain: false },
            BatchError::Stopped => Failure::Unavailable { uncertain: true },
            BatchError::Database(shared) => match decode(shared) {
                Ok(refusal) => return refusal,
                Err(failure) => failure,
            },
        };
        failure.because_of(error.into())
    }
}

impl From<store::error::Error> for Error {
    fn from(error: store::error::Error) -> Self {
        match decode(&error) {
            Ok(refusal) => refusal,
            Err(failure) => failure.because_of(error.into()),
        }
    }
}

/// A failure of ours or of the database, without its cause.
enum Failure {
    Internal,
    Unavailable { uncertain: bool },
}

impl Failure {
    fn because_of(self, source: Cause) -> Error {
        match self {
            Self::Internal => Error::Internal(source),
            Self::Unavailable { uncertain } => Error::Unavailable { uncertain, source },
        }
    }
}

/// What the caller did wrong, if a constraint that says so refused it; else how it failed.
fn decode(error: &store::error::Error) -> Result<Error, Failure> {
    use store::error::Error as Store;
    match error {
        Store::Refused { constraint, .. } => match constraint.as_str() {
            "users_key" | "users_one_per_email" => {
                Ok(Error::AlreadyExists("This user already exists."))
            }
            "credentials_key" => Ok(Error::AlreadyExists("This key already exists.")),
            "participants_of_user" => Ok(Error::UserNotFound),
            _ => Err(Failure::Internal),
        },
        // An answer that cannot be read came after the commit: a retry is answered with what was stored, and the others
        // have to resync.
        Store::Away { uncertain, .. }
        | Store::Bug {
            uncertain: uncertain @ true,
            ..
        } => Err(Failure::Unavailable {
            uncertain: *uncertain,
        }),
        Store::Bug { .. } => Err(Failure::Internal),
    }
}
