//! The writing half of a socket: the body of the response to the handshake.
//!
//! It takes pending notifications only when the connection has room for more, so a slow reader
//! costs a set of ids instead of a queue of frames. A writing task with a channel would cost two
//! more wake-ups and two more copies per push.

use std::{
    cell::Cell,
    error::Error as StdError,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

use prometheus_client::metrics::histogram::Histogram;

use crate::{api::notification, notify::registry::Feed};
use parlance_wire::{id::UserId, version::ClientVersion};

/// The order of pings and pushes: the answer to a ping that was sent after the last push shows that
/// the push has arrived.
// TCP keeps the order, and RFC 6455, 5.5.3, lets a peer answer only the latest ping, so only that one counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Pings(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: Cell<u64>,
    /// Number of pings sent at the time of the last push.
    at_push: Cell<u64>,
}

impl Pings {
    /// Counts a ping and returns its number.
    pub(super) fn next(&self) -> u64 {
        let number = self.0.sent.get() + 1;
        self.0.sent.set(number);
        number
    }

    /// Returns `true` if this answer to a ping shows that all pushes have arrived.
    pub(super) fn confirm(&self, payload: &[u8]) -> bool {
        let sent = self.0.sent.get();
        sent > self.0.at_push.get() && *payload == sent.to_be_bytes()
    }

    fn pushed(&self) {
        self.0.at_push.set(self.0.sent.get());
    }
}

/// The pushes to a station.
pub(super) struct Pushes {
    feed: Feed,
    user: UserId,
    version: ClientVersion,
    pings: Pings,
    /// Time from a commit to its first push.
    push_seconds: Histogram,
    /// The first frame is sent even if nothing is pending, so that the client learns that the socket works.
    first: bool,
    /// A payload whose header has been written.
    // Separate from its header, so that a thousand sockets share the payload without a copy.
    payload: Option<Bytes>,
}

/// The body: pushes and, between them, control frames (pings, pongs, refusals, close).
struct Frames {
    pushes: Pushes,
    control: BoxBody,
}

impl Pushes {
    pub(super) fn new(
        feed: Feed,
        user: UserId,
        version: ClientVersion,
        pings: Pings,
        push_seconds: Histogram,
    ) -> Self {
        Self {
            feed,
            user,
            version,
            pings,
            push_seconds,
            first: true,
            payload: None,
        }
    }

    /// Combines pushes with the session's control frames into the body of the handshake's response.
    // The library's body is kept: when it is dropped, the reading half learns that the peer is
    // gone.
    pub(super) fn with_control_frames(self, control: BoxBody) -> impl MessageBody + use<> {
        Frames {
            pushes: self,
            control,
        }
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<Bytes, Box<dyn StdError>>> {
        if self.feed.poll_changed(context).is_pending() && !self.first {
            return Poll::Pending;
        }
        let changes = self.feed.take();
        if changes.is_empty() && !self.first {
            return Poll::Pending;
        }
        self.first = false;
        let payload = match notification::frame(&changes, self.user, self.version) {
            Ok(payload) => payload,
            Err(error) => {
                // The connection ends, and the station resyncs, because the changes were taken but
                // never confirmed.
                tracing::error!(user = %self.user, ?error, "a frame could not be rendered");
                return Poll::Ready(Err(error.into()));
            }
        };
        for took in changes
            .rows
            .values()
            .filter_map(|row| row.rendered.first_push())
        {
            self.push_seconds.observe(took.as_secs_f64());
        }
        self.pings.pushed();
        let header = header(payload.len());
        self.payload = Some(payload);
        Poll::Ready(Ok(header))
    }
}

impl MessageBody for Frames {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        // No other frame may come between a header and its payload.
        if let Some(payload) = self.pushes.payload.take() {
            return Poll::Ready(Some(Ok(payload)));
        }
        // Control frames first: constant pushes would otherwise starve the pings, and a socket
        // whose pings are not answered is closed.
        match Pin::new(&mut self.control).poll_next(context) {
            Poll::Pending => self.pushes.poll(context).map(Some),
            ready @ Poll::Ready(_) => ready,
        }
    }
}

/// The header of an unfragmented, unmasked text frame (RFC 6455, 5.2).
fn header(length: usize) -> Bytes {
    const FIN_TEXT: u8 = 0x81;
    let mut header = vec![FIN_TEXT];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => header.push(short),
        (_, Ok(medium)) => {
            header.push(126);
            header.extend_from_slice(&medium.to_be_bytes());
        }
        (_, Err(_)) => {
            header.push(127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_the_length_in_one_three_or_nine_bytes() {
        assert_eq!(header(0)[..], [0x81, 0]);
        assert_eq!(header(125)[..], [0x81, 125]);
        assert_eq!(header(126)[..], [0x81, 126, 0, 126]);
        assert_eq!(header(255)[..], [0x81, 126, 0, 255]);
        assert_eq!(header(65_535)[..], [0x81, 126, 0xff, 0xff]);
        assert_eq!(header(65_536)[..], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn only_the_answer_to_a_ping_after_the_last_push_confirms_it() {
        let pings = Pings::default();
        pings.pushed();
        let first = pings.next();
        assert!(pings.confirm(&first.to_be_bytes()));
        pings.pushed();
        assert!(!pings.confirm(&first.to_be_bytes()));
        let second = pings.next();
        assert!(!pings.confirm(&first.to_be_bytes()));
        assert!(!pings.confirm(b""));
        assert!(pings.confirm(&second.to_be_bytes()));
    }
}
