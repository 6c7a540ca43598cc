//! One WebSocket: a station that listens. It hears the notification objects that it would poll for, as
//! they come, one after the other; while it is busy, they are gathered (docs/api.md, The WebSocket).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{AggregatedMessage, CloseCode, CloseReason, ProtocolError, Session};
use serde::Deserialize;
use tokio::time::{interval_at, timeout};
use tracing::Instrument;

use super::{
    address,
    identity::{self, SignedRequest},
    presence,
    request_log::RequestLog,
    state::State,
};
use crate::{
    api::{
        error::{self, Error},
        notification,
    },
    chat::error::Error as Rule,
    notify::{
        event::Event,
        registry::{SocketLimits, Subscription},
    },
    store,
};
use parlance_wire::{
    id::{ConversationId, UserId},
    request::{self, Head, notification::ClientFrame},
    signature::{Claim, WEBSOCKET},
    time::Timestamp,
    version::ClientVersion,
};

/// Where sockets are opened: beside the API's paths.
pub(super) const PATHS: [&str; 2] = ["/ws", "/ozeki/ws"];

/// What a client says fits into this many bytes.
const MOST_FRAME: usize = 4096;
/// A client may say so much at once, and then so much a second.
const BURST: f64 = 30.0;
const A_SECOND: f64 = 10.0;
/// A client says at most once in this time that its user is writing, for each conversation.
const TYPING: Duration = Duration::from_secs(1);
/// A socket remembers for so many conversations when that was.
const MOST_TYPING: usize = 64;

/// What stands in the URL: a browser cannot set headers here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Knock {
    user: String,
    station: String,
    timestamp: String,
    signature: String,
    clientversioncode: Option<i64>,
}

/// Answers a handshake: with the socket, or with an ordinary refusal.
pub(super) async fn handshake(
    request: HttpRequest,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Error> {
    RequestLog::update(&request, |log| {
        (log.api, log.action) = (WEBSOCKET.1, WEBSOCKET.1);
    });
    let knock = web::Query::<Knock>::from_query(request.query_string())
        .map_err(|_| Error::bad_request("clientversioncode must be a whole number."))?
        .into_inner();
    // A `+` that was not encoded has become a space.
    let signature = knock.signature.replace(' ', "+");
    let given = |text: &'_ str| (!text.is_empty()).then_some(());
    let signed = SignedRequest {
        claim: Claim {
            user: given(&knock.user).map(|()| knock.user.as_str()),
            station: given(&knock.station).map(|()| knock.station.as_str()),
            signature: given(&signature).map(|()| signature.as_str()),
        },
        srv: WEBSOCKET.0,
        api: WEBSOCKET.1,
        body: knock.timestamp.as_bytes(),
        timestamp: Timestamp::parse(&knock.timestamp),
        nonce: None,
        now: Timestamp::now(),
        address: address::of_client(&state.settings, &request),
    };
    let generation = state.keys.generation();
    let (user, station) = identity::verify(&state, &signed).await?;
    RequestLog::update(&request, |log| log.user = Some(user));
    if state.is_stopping() {
        return Err(Rule::Unavailable {
            cause: "the server is stopping".into(),
            is_uncertain: false,
        }
        .into());
    }
    let version = ClientVersion::of_code(knock.clientversioncode);
    let (response, session, stream) = actix_ws::handle(&request, payload)
        .map_err(|error| Error::bad_request(format!("{error}.")))?;
    let limits = SocketLimits {
        per_user: state.settings.sockets_per_user,
        total: state.settings.sockets,
    };
    let (subscription, is_first) = state
        .notifications
        .subscribe(user, station, version, limits)
        .map_err(Rule::from)?;
    if state.keys.generation() != generation {
        // Someone was barred since it was looked at: whoever was cannot have been disconnected before they subscribed.
        return Err(Rule::Unavailable {
            cause: "users changed during the handshake".into(),
            is_uncertain: false,
        }
        .into());
    }
    if is_first {
        state.presence.look_at(user);
    }
    let socket = Socket {
        state: state.into_inner(),
        user,
        version,
        session,
        typed: HashMap::new(),
        allowance: BURST,
        spent_at: Instant::now(),
    };
    // In the span of its handshake: what goes wrong later has that id.
    actix_web::rt::spawn(socket.run(subscription, stream).in_current_span());
    Ok(response)
}

/// What we send.
enum Frame {
    Text(Vec<u8>),
    Ping(u64),
    Pong(web::Bytes),
}

struct Socket {
    state: Arc<State>,
    user: UserId,
    version: ClientVersion,
    session: Session,
    typed: HashMap<ConversationId, Instant>,
    allowance: f64,
    spent_at: Instant,
}

impl Socket {
    async fn run(mut self, mut subscription: Subscription, stream: actix_ws::MessageStream) {
        let reason = self.converse(&mut subscription, stream).await;
        let patience = self.state.settings.timings.peer_timeout;
        presence::mark_offline_after_grace(self.state, self.user, subscription);
        let _ = Box::pin(timeout(patience, self.session.close(reason))).await;
    }

    /// Until either side ends it. Why we do, if we do.
    async fn converse(
        &mut self,
        subscription: &mut Subscription,
        stream: actix_ws::MessageStream,
    ) -> Option<CloseReason> {
        let mut stream = stream
            .max_frame_size(MOST_FRAME)
            .aggregate_continuations()
            .max_continuation_size(MOST_FRAME);
        let (ping, peer_timeout) = (
            self.state.settings.timings.ping,
            self.state.settings.timings.peer_timeout,
        );
        let mut clock = interval_at(tokio::time::Instant::now() + ping, ping);
        let mut heard_at = Instant::now();
        // Pings are numbered: the answer to one that was sent after the last push shows that the push has arrived.
        let (mut pings, mut pings_at_push, mut is_first) = (0_u64, 0, true);
        loop {
            let changes = subscription.take();
            if is_first || !changes.is_empty() {
                (is_first, pings_at_push) = (false, pings);
                let frame = notification::frame(&changes, self.user, self.version).ok()?;
                // An idle socket should not keep room for the changes that it once had.
                drop(changes);
                Box::pin(self.send(Frame::Text(frame))).await?;
            }
            tokio::select! {
                is_on = subscription.changed() => if !is_on {
                    return Some(if self.state.is_stopping() { CloseCode::Away.into() } else { close(CloseCode::Policy, "another socket of this station") });
                },
                said = stream.recv() => {
                    heard_at = Instant::now();
                    match said {
                        None | Some(Ok(AggregatedMessage::Close(_)) | Err(ProtocolError::Io(_))) => return None,
                        Some(Ok(AggregatedMessage::Pong(number))) => if pings > pings_at_push && *number == pings.to_be_bytes() { subscription.ack(); },
                        Some(Ok(AggregatedMessage::Ping(bytes))) => Box::pin(self.send(Frame::Pong(bytes))).await?,
                        Some(Ok(AggregatedMessage::Text(text))) => if let Some(reason) = Box::pin(self.hear(&text)).await { return Some(reason) },
                        Some(Ok(AggregatedMessage::Binary(_))) => return Some(close(CloseCode::Unsupported, "text frames only")),
                        Some(Err(ProtocolError::Overflow)) => return Some(close(CloseCode::Size, "a frame may have at most 4096 bytes")),
                        Some(Err(_)) => return Some(CloseCode::Protocol.into()),
                    }
                },
                _ = clock.tick() => {
                    if heard_at.elapsed() >= peer_timeout {
                        return Some(close(CloseCode::Policy, "no answer to pings"));
                    }
                    pings += 1;
                    Box::pin(self.send(Frame::Ping(pings))).await?;
                }
            }
        }
    }

    /// Hears a text frame. `Some`: the socket ends for it.
    async fn hear(&mut self, text: &str) -> Option<CloseReason> {
        let earned = self.spent_at.elapsed().as_secs_f64() * A_SECOND;
        self.allowance = (self.allowance + earned).min(BURST) - 1.0;
        self.spent_at = Instant::now();
        if self.allowance < 0.0 {
            return Some(close(CloseCode::Policy, "too many frames"));
        }
        if let Err(refusal) = self.act(text).await {
            if let Error::Rule(Rule::Internal(cause) | Rule::Unavailable { cause, .. }) = &refusal {
                tracing::error!(user = %self.user, cause, "a frame failed");
            }
            self.send(Frame::Text(error::body(&refusal))).await;
        }
        None
    }

    async fn act(&mut self, text: &str) -> Result<(), Error> {
        let head = Head::parse(text.as_bytes())?;
        let ClientFrame::Typing { conversationid } =
            request::action(&head.action, text.as_bytes())?;
        if !self.version.is_v4() {
            return Err(Error::UnknownAction);
        }
        let now = Instant::now();
        if self
            .typed
            .get(&conversationid)
            .is_some_and(|at| now.duration_since(*at) < TYPING)
        {
            return Ok(());
        }
        let everyone =
            store::participant::everyone_with(&self.state.services.db, conversationid, self.user)
                .await
                .map_err(Rule::from)?
                .ok_or(Rule::ConversationNotFound)?;
        if self.typed.len() >= MOST_TYPING {
            self.typed.clear();
        }
        self.typed.insert(conversationid, now);
        let others = everyone
            .into_iter()
            .filter(|user| *user != self.user)
            .collect();
        self.state.announce(&[Event::Typing {
            conversation: conversationid,
            user: self.user,
            others,
        }]);
        Ok(())
    }

    /// Writes a frame. `None`: the peer is gone, or does not read. Rare for an idle socket, so callers box
    /// it: ten thousand of them should not keep room for it.
    async fn send(&mut self, frame: Frame) -> Option<()> {
        let sent = async {
            match frame {
                // JSON is UTF-8; what is not is a fault of ours, and must not count as pushed.
                Frame::Text(text) => self.session.text(String::from_utf8(text).ok()?).await.ok(),
                Frame::Ping(number) => self.session.ping(&number.to_be_bytes()).await.ok(),
                Frame::Pong(bytes) => self.session.pong(&bytes).await.ok(),
            }
        };
        timeout(self.state.settings.timings.peer_timeout, sent)
            .await
            .ok()?
    }
}

fn close(code: CloseCode, description: &str) -> CloseReason {
    CloseReason {
        code,
        description: Some(description.to_owned()),
    }
}
