//! Refusals on the wire: status, code and body of each, in the order of the published table.

use serde::Serialize;

use super::answer;
use crate::{chat::error::Error as ChatError, store::error::Cause};
use parlance_wire::{
    e2ee::CardHash,
    id::UserId,
    request::{ParseError, file::Records},
    signature::ClaimError,
    text::Instance,
};

/// The reasons why a request is refused, by a rule or before it reaches one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("There is no such API.")]
    UnknownApi,
    #[error("This API has no such action.")]
    UnknownAction,
    #[error("An API must be called with POST.")]
    MethodNotAllowed,
    /// The line is slow, or broke.
    #[error("The body did not arrive {0}. Send the request again.")]
    IncompleteBody(&'static str),
    #[error("A request's body must not be compressed.")]
    UnsupportedEncoding,
    /// A header of the signature is missing.
    #[error("The header {0} is missing.")]
    SignatureMissing(&'static str),
    /// The signature does not match user, station and body.
    #[error("The signature is not valid.")]
    SignatureInvalid,
    /// The client's clock is too far from the server's. Contains the server's time.
    #[error(
        "The timestamp is too far from the server's time, which is {0} UTC. Check this device's clock."
    )]
    TimestampOutOfRange(String),
    #[error("This user is not logged in at this station. Log in again.")]
    UnknownStation,
    /// The nonce was used before.
    #[error("This request was already sent. Sign a new one, with another nonce.")]
    Replayed,
    /// The file has only this many bytes.
    #[error("The file ends before this range.")]
    RangeNotSatisfiable(u64),
    #[error(transparent)]
    Chat(#[from] ChatError),
}

impl Error {
    /// A malformed request, with a sentence that names the field.
    pub(crate) fn bad_request(sentence: impl Into<String>) -> Self {
        Self::Chat(ChatError::BadRequest(sentence.into()))
    }

    /// A failure of the server, with its cause for the log.
    pub(crate) fn internal(cause: impl Into<Cause>) -> Self {
        Self::Chat(ChatError::Internal(cause.into()))
    }

    /// The cause of a failure, for the log. Returns `None` for a refusal.
    pub(crate) fn cause(&self) -> Option<String> {
        match self {
            Self::Chat(error) => error.cause(),
            _ => None,
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::UnknownApi => Self::UnknownApi,
            ParseError::UnknownAction => Self::UnknownAction,
            ParseError::Malformed(sentence) => Self::bad_request(sentence),
        }
    }
}

impl From<ClaimError> for Error {
    fn from(error: ClaimError) -> Self {
        match error {
            ClaimError::Malformed(_) => Self::bad_request(error.to_string()),
            ClaimError::Missing(header) => Self::SignatureMissing(header),
            // The same refusal for every signature that cannot be verified, however malformed.
            ClaimError::NotBase64 => Self::SignatureInvalid,
        }
    }
}

/// HTTP status and `errorcode` of a refusal.
#[must_use]
// Kept as a table, so that it can be compared line by line with the one in docs/api.md.
#[rustfmt::skip]
pub(crate) fn row(error: &Error) -> (u16, &'static str) {
    match error {
        Error::SignatureMissing(_)        => (401, "signature_missing"),
        Error::SignatureInvalid           => (401, "signature_invalid"),
        Error::TimestampOutOfRange(_)     => (401, "timestamp_out_of_range"),
        Error::UnknownStation             => (401, "unknown_station"),
        Error::UnknownApi                 => (404, "unknown_api"),
        Error::UnknownAction              => (404, "unknown_action"),
        Error::MethodNotAllowed           => (405, "method_not_allowed"),
        Error::IncompleteBody(_)          => (408, "incomplete_body"),
        Error::Replayed                   => (409, "replayed"),
        Error::UnsupportedEncoding        => (415, "unsupported_encoding"),
        Error::RangeNotSatisfiable(_)     => (416, "range_not_satisfiable"),
        Error::Chat(error) => match error {
            ChatError::BadRequest(_)           => (400, "bad_request"),
            ChatError::LoginFailed             => (401, "login_failed"),
            ChatError::NotAllowed(_)           => (403, "not_allowed"),
            ChatError::NotFriends              => (403, "not_friends"),
            ChatError::RegistrationClosed(_)   => (403, "registration_closed"),
            ChatError::ConversationNotFound    => (404, "conversation_not_found"),
            ChatError::UserNotFound            => (404, "user_not_found"),
            ChatError::FileNotFound            => (404, "file_not_found"),
            ChatError::StaleInstance(_)        => (409, "stale_instance"),
            ChatError::StaleEpoch(_)           => (409, "stale_epoch"),
            ChatError::StaleRoster(_)          => (409, "stale_roster"),
            ChatError::StaleCard(_)            => (409, "stale_card"),
            ChatError::StaleVersion(_)         => (409, "stale_version"),
            ChatError::MessageIdConflict       => (409, "message_id_conflict"),
            ChatError::AlreadyExists(_)        => (409, "already_exists"),
            ChatError::FileConflict(_)         => (409, "file_conflict"),
            ChatError::FileIncomplete(_)       => (409, "file_incomplete"),
            ChatError::QuotaExceeded { .. }    => (413, "quota_exceeded"),
            ChatError::TooLarge(_)             => (413, "too_large"),
            ChatError::StorageFull(_)          => (413, "storage_full"),
            ChatError::UsedUp(..) | ChatError::RateLimited(_) => (429, "rate_limited"),
            ChatError::Internal(_)             => (500, "internal"),
            ChatError::Unavailable { .. } | ChatError::FilesUnavailable(_) => (503, "unavailable"),
            ChatError::DiskFull | ChatError::DatabaseFull => (507, "disk_full"),
        },
    }
}

/// Seconds after which the client may try again (`Retry-After`). Returns `None` where waiting does not help.
#[must_use]
pub(crate) fn retry_after(error: &Error) -> Option<u64> {
    match error {
        // Rounded up, as a client that returns a moment too early is refused again.
        Error::Chat(ChatError::UsedUp(_, wait) | ChatError::RateLimited(wait)) => {
            Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
        }
        // About the time that a database takes to restart.
        Error::Chat(ChatError::Unavailable { .. }) => Some(2),
        // About the time that a service takes.
        Error::Chat(ChatError::FilesUnavailable(_)) => Some(10),
        _ => None,
    }
}

/// The body of a refusal that could not be rendered: clients parse every body as JSON, so it is never empty.
const UNRENDERED: &str =
    r#"{"status":"ERROR","errormessage":"Internal server error.","errorcode":"internal"}"#;

/// The body of a refusal.
#[must_use]
pub(crate) fn body(error: &Error) -> Vec<u8> {
    #[derive(Serialize)]
    struct View<'a> {
        status: &'static str,
        errormessage: String,
        errorcode: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        instance: Option<&'a Instance>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        participantids: Option<&'a [UserId]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        card: Option<CardHash>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<i32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        have: Option<&'a [Records]>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filequota: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        fileused: Option<u64>,
    }
    let mut view = View {
        status: "ERROR",
        errormessage: error.to_string(),
        errorcode: row(error).1,
        instance: None,
        epoch: None,
        participantids: None,
        n: None,
        card: None,
        version: None,
        have: None,
        filequota: None,
        fileused: None,
    };
    // Data that the caller needs for another attempt.
    match error {
        Error::Chat(ChatError::StaleInstance(present)) => view.instance = Some(present),
        Error::Chat(ChatError::StaleEpoch(present)) => view.epoch = Some(*present),
        Error::Chat(ChatError::StaleRoster(present)) => view.participantids = Some(present),
        Error::Chat(ChatError::StaleCard(newest)) => {
            view.n = Some(newest.map_or(0, |(n, _)| n));
            view.card = newest.map(|(_, card)| card);
        }
        Error::Chat(ChatError::FileIncomplete(have)) => view.have = Some(have),
        Error::Chat(ChatError::QuotaExceeded { quota, used, .. }) => {
            (view.filequota, view.fileused) = (Some(*quota), Some(*used));
        }
        Error::Chat(ChatError::StaleVersion(present)) => view.version = Some(*present),
        _ => {}
    }
    answer::json(&view).unwrap_or_else(|error| {
        tracing::error!(?error, "a refusal could not be rendered");
        UNRENDERED.as_bytes().to_vec()
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_client_that_obeys_retry_after_is_not_too_early() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(
                retry_after(&ChatError::RateLimited(Duration::from_millis(millis)).into()),
                Some(seconds)
            );
        }
        assert!(
            retry_after(
                &ChatError::Unavailable {
                    source: "lost".into(),
                    uncertain: true
                }
                .into()
            )
            .is_some_and(|seconds| seconds > 0)
        );
        assert_eq!(retry_after(&ChatError::LoginFailed.into()), None);
    }
}
