//! The refusals of the rules, each with a sentence for a person. `api::error` maps each to its code
//! on the wire.

use std::time::Duration;

use crate::notify::registry::TooManySockets;
use crate::store::{self, batcher::BatchError, error::Cause};
use crate::telemetry::with_causes;
use parlance_wire::{e2ee::CardHash, id::UserId, request::file::Records, text::Instance};

/// The refusal of an address or a key that belongs to an account.
pub(super) const TAKEN: &str = "This address or key is already in use.";

/// The reasons why a request is refused or fails. Nothing of it was stored, unless it is
/// `uncertain`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A field is missing or malformed; the sentence names it and its required form.
    #[error("{0}")]
    BadRequest(String),
    /// An unknown key, another user's key, or a disabled user. The same refusal for all, so that
    /// guesses reveal nothing.
    #[error("Login failed.")]
    LoginFailed,
    /// The caller is authenticated, but may not do this.
    #[error("{0}")]
    NotAllowed(&'static str),
    /// The two participants of a direct conversation are no longer friends.
    #[error("You are no longer friends. Send a friend request to write again.")]
    NotFriends,
    /// Registration is closed, or the invitation is not valid.
    #[error("{0}")]
    RegistrationClosed(&'static str),
    /// No such conversation, or not the caller's.
    #[error("There is no such conversation.")]
    ConversationNotFound,
    /// No such user.
    #[error("There is no such user.")]
    UserNotFound,
    /// The conversation was cleared. Contains its current instance.
    #[error("The conversation was cleared. Download its new instance.")]
    StaleInstance(Instance),
    /// The conversation's present epoch is another one: this one, or 0 for none.
    #[error("The conversation has another epoch. Fetch its epochs and try again.")]
    StaleEpoch(i32),
    /// The participants, now or after the change, are not those of the call, but these.
    #[error(
        "The conversation has other participants, or they have newer cards. Fetch both and try again."
    )]
    StaleRoster(Vec<UserId>),
    /// The user's newest card has this number and hash; `None` if there is none.
    #[error(
        "The card must follow your newest one. Make it again with the number and hash of that card."
    )]
    StaleCard(Option<(u64, CardHash)>),
    /// The vault already has another version. Contains that version.
    #[error("The vault has a newer version. Fetch it and try again.")]
    StaleVersion(i32),
    /// No such file, not complete, or not for the caller.
    #[error("There is no such file.")]
    FileNotFound,
    /// It is not what the server has under this id.
    #[error("{0}")]
    FileConflict(&'static str),
    /// Records of the file are missing. Contains those that are there.
    #[error("Records of the file are missing. Upload them first.")]
    FileIncomplete(Vec<Records>),
    /// The user's files leave no room.
    #[error("{}", no_room(*quota, *used, *size))]
    QuotaExceeded {
        /// Bytes that they may take.
        quota: u64,
        /// Bytes that they take.
        used: u64,
        /// Bytes of the new one.
        size: u64,
    },
    /// The server's disk is nearly full.
    #[error(
        "The disk of the server is nearly full: no files can be uploaded at the moment. Messages can still be sent."
    )]
    DiskFull,
    /// The database's disk is full.
    #[error(
        "The server's database has no room: no files can be uploaded until its operator has made some."
    )]
    DatabaseFull,
    /// Another message of the conversation has the id.
    #[error("Another message already has this id.")]
    MessageIdConflict,
    /// It exists already, or belongs to another user.
    #[error("{0}")]
    AlreadyExists(&'static str),
    /// It exceeds a configured limit, which the sentence names.
    #[error("{0}")]
    TooLarge(String),
    /// The caller has stored as much as they may, which the sentence names.
    #[error("{0}")]
    StorageFull(String),
    /// A limit of this user is reached: the sentence names it, with the time until more is
    /// allowed.
    #[error("{0}")]
    UsedUp(String, Duration),
    /// Too many attempts, and the time until the next one.
    #[error("Too many attempts. Try again in a moment.")]
    RateLimited(Duration),
    /// The server failed. The cause goes to the log, never to the wire.
    #[error("The server failed. The log has the cause, under this answer's X-Request-Id.")]
    Internal(#[source] Cause),
    /// The database is away. The cause goes to the log.
    #[error("The server cannot do this at the moment. Try again.")]
    Unavailable {
        /// `true` if it may have been committed nevertheless: the database's answer was lost.
        uncertain: bool,
        /// For the log.
        #[source]
        source: Cause,
    },
    /// The store of files is away. The cause goes to the log.
    #[error(
        "Files cannot be stored or read at the moment. Try again later. Messages can still be sent."
    )]
    FilesUnavailable(#[source] Cause),
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
            Self::Internal(source)
            | Self::Unavailable { source, .. }
            | Self::FilesUnavailable(source) => Some(with_causes(&**source)),
            _ => None,
        }
    }
}

impl From<BatchError> for Error {
    fn from(error: BatchError) -> Self {
        let failure = match &error {
            // Nothing was committed: a retry is safe, and no station has to resync.
            BatchError::Full | BatchError::Contended => Failure::Unavailable { uncertain: false },
            // The entry may have been in a batch whose commit was not awaited.
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

/// A failure of the server or of the database, without its cause.
enum Failure {
    Internal,
    Unavailable { uncertain: bool },
    FilesUnavailable,
}

impl Failure {
    fn because_of(self, source: Cause) -> Error {
        match self {
            Self::Internal => Error::Internal(source),
            Self::Unavailable { uncertain } => Error::Unavailable { uncertain, source },
            Self::FilesUnavailable => Error::FilesUnavailable(source),
        }
    }
}

/// The refusal that a violated constraint stands for, or else the kind of failure.
fn decode(error: &store::error::Error) -> Result<Error, Failure> {
    use store::error::Error as Store;
    match error {
        // By the constraint's name, as an SQLSTATE does not distinguish two unique constraints.
        // Concurrent requests pass any check made beforehand, so the constraint decides, and its
        // refusal is not a failure.
        Store::Refused { constraint, .. } => match constraint.as_str() {
            // One sentence for all: who registers learns no more than that it does not work.
            "users_key" | "users_one_per_email" | "credentials_key" => {
                Ok(Error::AlreadyExists(TAKEN))
            }
            // The id of a group may be chosen by its creator.
            "conversations_key" => Ok(Error::AlreadyExists("This conversation already exists.")),
            "participants_of_user" => Ok(Error::UserNotFound),
            _ => Err(Failure::Internal),
        },
        // The answer could not be decoded, but came after the commit: a retry finds what was
        // stored, and other stations have to resync.
        Store::Away { uncertain, .. }
        | Store::Bug {
            uncertain: uncertain @ true,
            ..
        } => Err(Failure::Unavailable {
            uncertain: *uncertain,
        }),
        Store::FilesAway { .. } => Err(Failure::FilesUnavailable),
        Store::FilesFull { .. } => Ok(Error::DiskFull),
        Store::Bug { .. } => Err(Failure::Internal),
    }
}

fn no_room(quota: u64, used: u64, size: u64) -> String {
    if quota == 0 {
        return "You are not allowed to upload files on this server.".to_owned();
    }
    format!(
        "Your files use {used} of {quota} bytes, and this one needs {size} more. Delete some of them."
    )
}
