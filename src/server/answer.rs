//! HTTP responses: answers, sent in pieces, and refusals.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse, Responder, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
    web::Bytes,
};

use super::{budget::Share, load::InProgress};
use crate::api::error::{self, Error};
use parlance_wire::id::UserId;

/// Maximum size of an answer that is sent in one piece, so that a usual page costs one system call.
const SINGLE_PIECE: usize = 64 << 10;
/// Bytes of each piece of a longer answer.
const PIECE: usize = 32 << 10;
/// The rate, in bytes per second, at which a peer has to read a long answer after [`GRACE`].
// The kernel only drops peers that accept nothing: one that reads a byte now and then could hold an
// answer for ever.
pub(super) const MIN_RATE: usize = 2 << 10;
pub(super) const GRACE: Duration = Duration::from_secs(30);

pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An answer, written as fast as the peer reads it. It counts against the user's limits until the
/// last byte is sent.
pub(super) struct Answer {
    text: Bytes,
    /// Released once the answer is sent.
    _load: Option<(InProgress, Share<UserId>)>,
    begun: Instant,
    sent: usize,
}

impl Answer {
    /// An answer to a user. It holds their request and its share of the memory until it is sent.
    pub(super) fn to_user(text: Vec<u8>, in_progress: InProgress, share: Share<UserId>) -> Self {
        Self::new(text, Some((in_progress, share)))
    }

    fn new(text: Vec<u8>, load: Option<(InProgress, Share<UserId>)>) -> Self {
        Self {
            text: text.into(),
            _load: load,
            begun: Instant::now(),
            sent: 0,
        }
    }

    /// Takes the next piece. Returns `None` if the peer reads too slowly.
    fn piece(&mut self) -> Option<Bytes> {
        // Checked by the time that all pieces so far may take, so that a short pause does not
        // count.
        let seconds = u32::try_from(self.sent / MIN_RATE).unwrap_or(u32::MAX);
        if self.begun.elapsed() > GRACE + Duration::from_secs(1) * seconds {
            return None;
        }
        let length = if self.sent == 0 && self.text.len() <= SINGLE_PIECE {
            self.text.len()
        } else {
            self.text.len().min(PIECE)
        };
        self.sent += length;
        Some(self.text.split_to(length))
    }
}

impl From<Vec<u8>> for Answer {
    fn from(text: Vec<u8>) -> Self {
        Self::new(text, None)
    }
}

impl MessageBody for Answer {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        if self.text.is_empty() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(
            // The head is sent, so it is too late for a refusal: the connection is closed, and the
            // client sees a truncated body.
            self.piece().ok_or_else(|| io::ErrorKind::TimedOut.into()),
        ))
    }
}

impl Responder for Answer {
    type Body = Self;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse<Self> {
        let mut response = HttpResponse::with_body(StatusCode::OK, self);
        response.headers_mut().insert(header::CONTENT_TYPE, JSON);
        response
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(error::row(self).0).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse<BoxBody> {
        let mut response =
            HttpResponse::with_body(self.status_code(), BoxBody::new(error::body(self)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if let Some(seconds) = error::retry_after(self) {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Self::RangeNotSatisfiable(size) = self
            && let Ok(range) = HeaderValue::try_from(format!("bytes */{size}"))
        {
            headers.insert(header::CONTENT_RANGE, range);
        }
        if let Self::MethodNotAllowed = self {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_reads_a_long_answer_too_slowly_is_given_up_and_one_that_takes_its_time_is_not() {
        let mut answer = Answer::from(vec![b'x'; 4 * PIECE]);
        assert_eq!(answer.piece().unwrap().len(), PIECE);
        // A piece has 16 seconds, in addition to the grace period.
        answer.begun -= GRACE + Duration::from_secs(15);
        assert_eq!(answer.piece().unwrap().len(), PIECE);
        answer.begun -= Duration::from_secs(18);
        assert!(answer.piece().is_none());
    }

    #[test]
    fn a_usual_page_is_one_piece() {
        let mut answer = Answer::from(vec![b'x'; SINGLE_PIECE]);
        assert_eq!(answer.piece().unwrap().len(), SINGLE_PIECE);
    }
}
