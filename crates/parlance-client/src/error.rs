//! Why a call failed.

use std::{fmt, time::Duration};

use parlance_wire::text::Instance;
use serde::Deserialize;
use thiserror::Error;

use crate::keys::KeyError;

/// Why a call failed.
#[derive(Debug, Error)]
pub enum Error {
    /// The server answered, and did not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No answer, after all retries. Nobody knows whether the server did it.
    #[error("no answer from the server")]
    Transport(#[from] reqwest::Error),
    /// The answer is not of the documented form.
    #[error("the answer is not of the documented form")]
    Answer(#[source] serde_json::Error),
    /// The request could not be written.
    #[error("the request cannot be written")]
    Request(#[source] serde_json::Error),
    /// The socket could not be opened, after all retries.
    #[error("the socket cannot be opened")]
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    /// The socket could not be opened in time, after all retries.
    #[error("the socket was not opened in time")]
    SocketTimeout,
    /// A key could not be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A text is not of the form that the wire takes.
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

impl Error {
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
    /// What is wrong, for programs.
    pub code: ErrorCode,
    /// What is wrong, for people.
    pub message: String,
    /// After which time the call may be repeated.
    pub retry_after: Option<Duration>,
    /// The present instance, of a [`StaleInstance`](ErrorCode::StaleInstance).
    pub instance: Option<Instance>,
    /// The present version of the vault, of a [`StaleVersion`](ErrorCode::StaleVersion).
    pub version: Option<i32>,
}

impl Refusal {
    /// Whether the server might do it a little later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        matches!(self.status, 429 | 502..=504)
    }
}

/// `errorcode` of a refusal (docs/api.md, One endpoint).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// A field is missing or of the wrong form.
    BadRequest,
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
    /// The operator lets nobody register, or not without an invitation.
    RegistrationClosed,
    /// The server has no such API.
    UnknownApi,
    /// The API has no such action.
    UnknownAction,
    /// There is no such conversation, or the caller does not take part in it.
    ConversationNotFound,
    /// There is no such user.
    UserNotFound,
    /// Not a POST.
    MethodNotAllowed,
    /// The conversation was cleared; [`Refusal::instance`] is the present instance.
    StaleInstance,
    /// The vault was changed by another device; [`Refusal::version`] is the present one.
    StaleVersion,
    /// A message of this id exists, with other content.
    MessageIdConflict,
    /// The address or the host name is taken.
    AlreadyExists,
    /// The nonce was used before.
    Replayed,
    /// Over a limit, which the message names.
    TooLarge,
    /// Too many requests; [`Refusal::retry_after`] says when to come back.
    RateLimited,
    /// A fault of the server.
    Internal,
    /// The server cannot answer now.
    Unavailable,
    /// A code that this version does not know, or an answer of a proxy.
    #[default]
    #[serde(other)]
    Unknown,
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
