//! Why a call failed.

use std::{fmt, time::Duration};

use parlance_wire::{e2ee::CardHash, text::Instance};
use serde::Deserialize;
use thiserror::Error;

use crate::{e2ee, keys::KeyError, socket::SocketEnd};

/// Why a call failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The server refused the call.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer, after all retries. Whether the server carried out the call is unknown.
    #[error("no answer from the server")]
    Transport(#[from] reqwest::Error),
    /// The answer is not of the documented form.
    #[error("the answer is not of the documented form")]
    Answer(#[source] serde_json::Error),
    /// The answer is larger than any that a server gives. Whether the server carried out the call is unknown.
    #[error("the answer is too large")]
    TooLarge,
    /// The request could not be written.
    #[error("the request cannot be written")]
    Request(#[source] serde_json::Error),
    /// The socket could not be opened, after all retries.
    #[error("the socket cannot be opened")]
    // Boxed: it is much larger than the other causes, and every result of this crate has room for it.
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// The socket could not be opened in time, after all retries.
    #[error("the socket was not opened in time")]
    SocketTimeout,
    /// The server ended the socket for good: opening another one would replace the one that has its
    /// place, or be refused.
    #[error("the socket has ended: {0}")]
    SocketEnded(SocketEnd),
    /// A key could not be generated or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The server's data is invalid (docs/e2ee.md).
    #[error(transparent)]
    Encryption(#[from] e2ee::Error),
    /// The server does not list the conversation: the user no longer takes part in it.
    #[error("the user takes no part in the conversation")]
    NotAParticipant,
    /// The conversation was cleared since it was read: what would be sent follows messages that are
    /// gone.
    #[error("the conversation was cleared since it was read")]
    Cleared,
    /// Older clients began the conversation, and have written in it: it can be read. Its epochs begin when
    /// a participant renews its keys in a client that keeps the old ones.
    #[error("older clients began this conversation; one of its participants has to renew its keys")]
    NoEpochs,
    /// A file here could not be read or written.
    #[error("the file cannot be read or written")]
    File(#[source] std::io::Error),
    /// A text does not have the required form.
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

impl Error {
    /// Returns `true` if the server may have carried out the call: there was no answer, or it
    /// failed, in any of its attempts.
    #[must_use]
    pub fn is_uncertain(&self) -> bool {
        match self {
            // Also 503: the server may have stored the change before it failed (docs/api.md).
            Self::Refused(refusal) => refusal.status >= 500 || refusal.was_uncertain,
            Self::Transport(_) | Self::Answer(_) | Self::TooLarge => true,
            _ => false,
        }
    }

    /// The code, if the server refused the call.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }
}

/// A refusal, as the server gives it.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The code, for programs.
    pub code: ErrorCode,
    /// The message, for people.
    pub message: String,
    /// Time after which the call may be repeated.
    pub retry_after: Option<Duration>,
    /// The present instance, for [`StaleInstance`](ErrorCode::StaleInstance).
    pub instance: Option<Instance>,
    /// The present epoch, or 0 for none, for [`StaleEpoch`](ErrorCode::StaleEpoch).
    pub epoch: Option<u32>,
    /// The present version of the vault, for [`StaleVersion`](ErrorCode::StaleVersion).
    pub version: Option<u32>,
    /// Number and hash of the newest card, for [`StaleCard`](ErrorCode::StaleCard), if there is one.
    // Boxed: every result of this crate has room for it.
    pub card: Option<Box<(u64, CardHash)>>,
    /// Whether an earlier attempt of the same call got no answer, or one that it failed. This
    /// refusal then says nothing about the outcome of that attempt.
    pub was_uncertain: bool,
}

impl Refusal {
    /// Returns `true` if a later attempt may succeed.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        // 502 and 504 come from a proxy, whose server may be restarting.
        matches!(self.status, 408 | 429 | 502..=504)
    }
}

/// `errorcode` of a refusal (docs/api.md, One endpoint).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// A field is missing or malformed.
    BadRequest,
    /// The body did not arrive in time, or not whole.
    IncompleteBody,
    /// The apikey is wrong.
    LoginFailed,
    /// The request is not signed.
    SignatureMissing,
    /// The signature is wrong.
    SignatureInvalid,
    /// The client's clock is too far from the server's.
    TimestampOutOfRange,
    /// The user has not logged in at this station.
    UnknownStation,
    /// The caller may not do this.
    NotAllowed,
    /// The two participants of a direct conversation are no longer friends.
    NotFriends,
    /// The operator allows no registrations, or requires an invitation.
    RegistrationClosed,
    /// The server has no such API.
    UnknownApi,
    /// The API has no such action.
    UnknownAction,
    /// There is no such conversation, or the caller does not take part in it.
    ConversationNotFound,
    /// There is no such user.
    UserNotFound,
    /// There is no such file for the caller.
    FileNotFound,
    /// The server has something else under the file's id.
    FileConflict,
    /// Records of the file are missing.
    FileIncomplete,
    /// The caller's files leave no room for it.
    QuotaExceeded,
    /// The server's disk is nearly full, and it takes no files.
    DiskFull,
    /// The file ends before the range.
    RangeNotSatisfiable,
    /// Not a POST.
    MethodNotAllowed,
    /// The conversation was cleared; [`Refusal::instance`] is the present instance.
    StaleInstance,
    /// The conversation has another epoch; [`Refusal::epoch`] is the present one.
    StaleEpoch,
    /// The participants are not those of the call.
    StaleRoster,
    /// The card does not have the next number.
    StaleCard,
    /// The vault was changed by another device; [`Refusal::version`] is the present one.
    StaleVersion,
    /// Another message with this id exists.
    MessageIdConflict,
    /// The address or the host name is taken.
    AlreadyExists,
    /// The nonce was used before.
    Replayed,
    /// Over a limit, which the message names.
    TooLarge,
    /// The caller has reached their storage limit.
    StorageFull,
    /// Too many requests; [`Refusal::retry_after`] tells when to try again.
    RateLimited,
    /// A fault of the server.
    Internal,
    /// The server cannot answer now.
    Unavailable,
    /// A code that this version does not know, or an answer of a proxy.
    // A newer server may have further codes: a refusal must stay one, and not become an unreadable answer.
    #[default]
    #[serde(other)]
    Unknown,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
