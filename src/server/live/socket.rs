//! The reading half of a socket: handles the client's frames, and decides when the socket ends.

use std::{convert::Infallible, io, sync::Arc, time::Instant};

use actix_web::web::Bytes;
use actix_ws::{AggregatedMessage, CloseCode, MessageStream, ProtocolError, Session};
use serde::Serialize;
use tokio::time::{interval_at, timeout};

use super::pushes::Pings;
use crate::{
    api::{
        answer,
        error::{self, Error},
    },
    chat::error::Error as ChatError,
    notify::{
        event::Event,
        registry::{End, Subscription},
    },
    server::{presence, state::State},
    store,
};
use parlance_wire::{
    id::{ConversationId, UserId},
    request::{
        self, Head,
        notification::{ClientFrame, MAX_FRAME},
    },
    time::Timestamp,
    version::ClientVersion,
};

/// Frames that a client may send in a burst, and then per second.
const BURST: f64 = 30.0;
const FRAMES_PER_SECOND: f64 = 10.0;

/// The state of one socket.
pub(super) struct Socket {
    state: Arc<State>,
    user: UserId,
    version: ClientVersion,
    session: Session,
    pings: Pings,
    /// How many frames the client may send now.
    allowance: f64,
    allowed_at: Instant,
}

/// Why a socket ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CloseReason {
    /// The peer closed it, is gone, or reads nothing.
    PeerGone,
    /// Ended by the registry.
    Ended(End),
    NoPong,
    TooManyFrames,
    TooLarge,
    Binary,
    InvalidUtf8,
    Protocol,
}

impl CloseReason {
    /// The close frame (RFC 6455, 7.4.1). Its code tells a v4 client what to do next. Codes from
    /// 4000 on are for applications (7.4.2); ours end like the HTTP status with the same meaning.
    fn frame(self, version: ClientVersion) -> Option<actix_ws::CloseReason> {
        let own = |code| {
            if version.is_v4() {
                CloseCode::Other(code)
            } else {
                CloseCode::Policy
            }
        };
        let (code, description) = match self {
            Self::PeerGone => return None,
            Self::Protocol => return Some(CloseCode::Protocol.into()),
            Self::Ended(End::ServerStopping) => return Some(CloseCode::Away.into()),
            Self::Ended(End::Replaced) => (own(4409), "another socket of this station"),
            Self::Ended(End::SignedOut) => (own(4401), "signed out"),
            Self::Ended(End::Disabled) => (own(4403), "disabled"),
            Self::Ended(End::Again) if version.is_v4() => (CloseCode::Restart, "connect again"),
            Self::Ended(End::Again) => (CloseCode::Policy, "connect again"),
            Self::TooManyFrames => (own(4429), "too many frames"),
            Self::NoPong => (CloseCode::Policy, "no answer to pings"),
            Self::TooLarge => (CloseCode::Size, "a frame may have at most 4096 bytes"),
            Self::Binary => (CloseCode::Unsupported, "text frames only"),
            Self::InvalidUtf8 => (CloseCode::Invalid, "a text frame must be UTF-8"),
        };
        Some(actix_ws::CloseReason {
            code,
            description: Some(description.to_owned()),
        })
    }
}

impl From<ProtocolError> for CloseReason {
    fn from(error: ProtocolError) -> Self {
        match error {
            // The library reports text that is not UTF-8 in this way only.
            ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                Self::InvalidUtf8
            }
            ProtocolError::Io(_) => Self::PeerGone,
            ProtocolError::Overflow => Self::TooLarge,
            _ => Self::Protocol,
        }
    }
}

impl Socket {
    pub(super) fn new(
        state: Arc<State>,
        user: UserId,
        version: ClientVersion,
        session: Session,
        pings: Pings,
    ) -> Self {
        Self {
            state,
            user,
            version,
            session,
            pings,
            allowance: BURST,
            allowed_at: Instant::now(),
        }
    }

    /// Serves the socket until either side ends it.
    pub(super) async fn run(mut self, subscription: Subscription, stream: MessageStream) {
        let Err(reason) = self.serve(&subscription, stream).await;
        let frame = reason.frame(self.version);
        self.state.metrics.socket_closed(frame.as_ref());
        let peer_timeout = self.state.settings.timings.peer_timeout;
        // Before the close frame: a peer that reads nothing would otherwise stay subscribed, and online, for the time-out.
        presence::mark_offline_after_grace(self.state, self.user, subscription);
        // A peer that is gone gets no close frame: the connection is then dropped with this task.
        let close = self.session.close(frame);
        let _ = Box::pin(timeout(peer_timeout, close)).await;
    }

    async fn serve(
        &mut self,
        subscription: &Subscription,
        stream: MessageStream,
    ) -> Result<Infallible, CloseReason> {
        let mut stream = stream
            .max_frame_size(MAX_FRAME)
            .aggregate_continuations()
            .max_continuation_size(MAX_FRAME);
        let (ping, peer_timeout) = (
            self.state.settings.timings.ping,
            self.state.settings.timings.peer_timeout,
        );
        let mut clock = interval_at(tokio::time::Instant::now() + ping, ping);
        let mut heard_at = Instant::now();
        loop {
            tokio::select! {
                end = subscription.ended() => return Err(CloseReason::Ended(end)),
                message = stream.recv() => {
                    heard_at = Instant::now();
                    let message = message.ok_or(CloseReason::PeerGone)??;
                    self.on_message(subscription, message).await?;
                }
                _ = clock.tick() => {
                    if heard_at.elapsed() >= peer_timeout {
                        return Err(CloseReason::NoPong);
                    }
                    let number = self.pings.next();
                    Box::pin(self.send(Frame::Ping(number))).await?;
                }
            }
        }
    }

    // Rare work is boxed: ten thousand idle sockets should not reserve memory for it.
    async fn on_message(
        &mut self,
        subscription: &Subscription,
        message: AggregatedMessage,
    ) -> Result<(), CloseReason> {
        match message {
            AggregatedMessage::Close(_) => Err(CloseReason::PeerGone),
            AggregatedMessage::Binary(_) => Err(CloseReason::Binary),
            AggregatedMessage::Ping(bytes) => Box::pin(self.send(Frame::Pong(bytes))).await,
            AggregatedMessage::Text(text) => Box::pin(self.on_text(&text)).await,
            AggregatedMessage::Pong(payload) => {
                // Both halves run on one thread: no push can come between this check and the acknowledgement.
                if self.pings.confirm(&payload) {
                    subscription.ack();
                }
                Ok(())
            }
        }
    }

    async fn on_text(&mut self, text: &str) -> Result<(), CloseReason> {
        // Counted before it is parsed: malformed frames cost as much as others.
        let earned = self.allowed_at.elapsed().as_secs_f64() * FRAMES_PER_SECOND;
        self.allowance = (self.allowance + earned).min(BURST) - 1.0;
        self.allowed_at = Instant::now();
        if self.allowance < 0.0 {
            return Err(CloseReason::TooManyFrames);
        }
        let answer = match self.handle(text).await {
            Ok(None) => return Ok(()),
            Ok(Some(answer)) => answer,
            Err(refusal) => {
                if let Some(cause) = refusal.cause() {
                    tracing::error!(user = %self.user, cause, "a frame failed");
                }
                Frame::Text(error::body(&refusal))
            }
        };
        self.send(answer).await
    }

    /// Handles a frame. Returns the answer, if there is one.
    async fn handle(&self, text: &str) -> Result<Option<Frame>, Error> {
        let head = Head::parse(text.as_bytes())?;
        let frame = request::action(&head.action, text.as_bytes())?;
        if !self.version.is_v4() {
            return Err(Error::UnknownAction);
        }
        match frame {
            ClientFrame::Ping => Ok(Some(Frame::Text(answer::json(&PongView {
                pong: self.state.settings.clock.now(),
            })?))),
            ClientFrame::Typing { conversationid } => {
                self.on_typing(conversationid).await.map(|()| None)
            }
        }
    }

    async fn on_typing(&self, conversationid: ConversationId) -> Result<(), Error> {
        if !self.state.typing.may_announce(self.user, conversationid) {
            return Ok(());
        }
        let others =
            store::participant::who_see_typing(&self.state.services.db, conversationid, self.user)
                .await
                .map_err(ChatError::from)?
                .ok_or(ChatError::ConversationNotFound)?;
        // After the look-up, so that ids of no conversation are refused each time. Another socket may have come first.
        if !self.state.typing.take(self.user, conversationid) {
            return Ok(());
        }
        self.state.announce(&[Event::Typing {
            conversation: conversationid,
            user: self.user,
            others,
        }]);
        Ok(())
    }

    /// Queues a frame, which is written before the next push.
    async fn send(&mut self, frame: Frame) -> Result<(), CloseReason> {
        let sent = async {
            match frame {
                Frame::Ping(number) => self.session.ping(&number.to_be_bytes()).await,
                Frame::Pong(bytes) => self.session.pong(&bytes).await,
                Frame::Text(json) => {
                    // JSON is UTF-8, so an error here is the server's: logged, not sent as something else.
                    match String::from_utf8(json) {
                        Ok(text) => self.session.text(text).await,
                        Err(error) => {
                            tracing::error!(user = %self.user, %error, "an answer could not be rendered");
                            Err(actix_ws::Closed)
                        }
                    }
                }
            }
        };
        match timeout(self.state.settings.timings.peer_timeout, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(CloseReason::PeerGone),
        }
    }
}

/// Frames that the reading half sends.
enum Frame {
    Ping(u64),
    Pong(Bytes),
    Text(Vec<u8>),
}

/// The answer to a client's `ping`.
#[derive(Serialize)]
struct PongView {
    /// The server's time.
    pong: Timestamp,
}
