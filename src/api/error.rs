//! The wire's codes: one row per refusal, as in the published table of answers.

use serde::Serialize;

use super::answer;
use crate::chat::error::Error;
use parlance_wire::text::Instance;

/// HTTP status and `errorcode` of a refusal.
#[must_use]
#[rustfmt::skip]
pub(crate) fn row(error: &Error) -> (u16, &'static str) {
    match error {
        Error::BadRequest(_)         => (400, "bad_request"),
        Error::LoginFailed           => (401, "login_failed"),
        Error::SignatureMissing(_)   => (401, "signature_missing"),
        Error::SignatureInvalid      => (401, "signature_invalid"),
        Error::TimestampOutOfRange(_) => (401, "timestamp_out_of_range"),
        Error::UnknownStation        => (401, "unknown_station"),
        Error::NotAllowed(_)         => (403, "not_allowed"),
        Error::RegistrationClosed(_) => (403, "registration_closed"),
        Error::UnknownApi            => (404, "unknown_api"),
        Error::UnknownAction         => (404, "unknown_action"),
        Error::ConversationNotFound  => (404, "conversation_not_found"),
        Error::UserNotFound          => (404, "user_not_found"),
        Error::MethodNotAllowed      => (405, "method_not_allowed"),
        Error::StaleInstance(_)      => (409, "stale_instance"),
        Error::MessageIdConflict     => (409, "message_id_conflict"),
        Error::AlreadyExists(_)      => (409, "already_exists"),
        Error::Replayed              => (409, "replayed"),
        Error::TooLarge(_)           => (413, "too_large"),
        Error::DailyLimit(..) | Error::RateLimited(_) => (429, "rate_limited"),
        Error::Internal(_)           => (500, "internal"),
        Error::Unavailable { .. }    => (503, "unavailable"),
    }
}

/// Seconds after which the client may try again (`Retry-After`), where a refusal says so.
#[must_use]
pub(crate) fn retry_after(error: &Error) -> Option<u64> {
    match error {
        // Rounded up: who comes back a moment too soon is refused again.
        Error::DailyLimit(_, wait) | Error::RateLimited(wait) => {
            Some((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
        }
        Error::Unavailable { .. } => Some(2),
        _ => None,
    }
}

/// The body of a refusal that could not be rendered: never an empty one.
const UNRENDERED: &str =
    r#"{"status":"ERROR","errormessage":"The server made a mistake.","errorcode":"internal"}"#;

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
    }
    let instance = match error {
        Error::StaleInstance(present) => Some(present),
        _ => None,
    };
    let view = View {
        status: "ERROR",
        errormessage: error.to_string(),
        errorcode: row(error).1,
        instance,
    };
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
    fn who_comes_back_when_told_is_not_too_early() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(
                retry_after(&Error::RateLimited(Duration::from_millis(millis))),
                Some(seconds)
            );
        }
        assert!(
            retry_after(&Error::Unavailable {
                source: "lost".into(),
                uncertain: true
            })
            .is_some_and(|seconds| seconds > 0)
        );
        assert_eq!(retry_after(&Error::LoginFailed), None);
    }
}
